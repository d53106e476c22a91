//! The passphrase for exported root keys: from a file, from stdin, or asked for twice.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use waxseal_instance::RootExport;
use zeroize::Zeroizing;

use crate::args::UpArgs;

impl UpArgs {
    /// Where the root keys go, if they are to be written.
    pub(crate) fn root_export(&self) -> Result<Option<RootExport>> {
        let Some(path) = &self.export_root else {
            return Ok(None);
        };
        let passphrase = match &self.root_passphrase {
            Some(file) => read(file)?,
            None => ask()?,
        };
        Ok(Some(RootExport::new(path, passphrase)?))
    }
}

/// The first line.
fn read(file: &Path) -> Result<Zeroizing<String>> {
    let text = if file == Path::new("-") {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        line
    } else {
        let text = std::fs::read_to_string(file);
        Zeroizing::new(text.with_context(|| format!("cannot read {}", file.display()))?)
    };
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

fn ask() -> Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        bail!(
            "--export-root needs a passphrase: give --root-passphrase FILE, or run on a terminal"
        );
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new);
    let first = ask("Passphrase for the root keys: ")?;
    if ask("Again: ")? != first {
        bail!("the two passphrases differ: nothing was made");
    }
    Ok(first)
}
