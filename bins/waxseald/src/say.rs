//! What is said on the terminal. Nothing else in this program prints.

#![expect(clippy::print_stderr, reason = "a program talks to whoever started it")]

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use waxseal_identity_server::{CheckResult, ConnectorCheck};
use waxseal_instance::{Commands, DemoStep, Group, Settings};
use waxseal_verify::Verified;

use crate::refusal;

/// One line on stdout, at once. A reader that has gone is no reason to stop serving, so a failure
/// means nothing.
macro_rules! line {
    ($($text:tt)*) => {{
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, $($text)*).and_then(|()| stdout.flush());
    }};
}

/// An error with its causes, and the exit code for it. Programs get one line of JSON.
pub(crate) fn failure(error: &anyhow::Error, json: bool) -> ExitCode {
    if json && !refusal::is_told(error) {
        let causes: Vec<_> = error.chain().skip(1).map(ToString::to_string).collect();
        refused(refusal::code(error), &error.to_string(), &causes);
        return ExitCode::FAILURE;
    }
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    ExitCode::FAILURE
}

/// A command line that cannot be followed, or a question about the program itself.
pub(crate) fn usage(error: &clap::Error) -> ! {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        refused("usage", text.trim().trim_start_matches("error: "), &[]);
    }
    error.exit()
}

fn refused(code: &str, message: &str, causes: &[String]) {
    let mut error = serde_json::Map::new();
    error.insert("code".to_owned(), code.into());
    error.insert("message".to_owned(), message.into());
    if !causes.is_empty() {
        error.insert("causes".to_owned(), causes.into());
    }
    line!("{}", serde_json::json!({ "ok": false, "error": error }));
}

/// The instance answers.
pub(crate) fn ready(settings: &Settings, folder: &Path, is_new: bool, took: Duration) {
    let made = if is_new { "made now" } else { "as before" };
    line!("waxseal {}: a private Sigstore", env!("CARGO_PKG_VERSION"));
    line!();
    line!("  address   {}", settings.url);
    line!("  data      {} ({made})", folder.display());
    line!("  clients   {}", folder.join("client").display());
    match &settings.smtp {
        Some(smtp) => line!("  mail      by {}", smtp.host),
        None if settings.outbox => line!(
            "  mail      none is sent: log-in codes are shown here, and lie in {}",
            folder.join("outbox").display()
        ),
        None => line!("  mail      none: people log in at providers alone"),
    }
    for connector in &settings.connectors {
        let redirect = connector.redirect_uri(&settings.issuer());
        line!(
            "  log-in    by {}, redirect URI {redirect}",
            connector.label()
        );
    }
    line!("  ready     after {}", millis(took));
    line!();
}

/// The keys of the roots are in a file of the operator's.
pub(crate) fn roots_exported(path: &Path) {
    line!(
        "The root keys are in {}: take it off this machine.",
        path.display()
    );
}

/// A step of the demonstration is done.
pub(crate) fn step(step: &DemoStep) {
    line!("  {:>7}   {}", millis(step.took), step.what);
}

/// The demonstration begins.
pub(crate) fn demo_begins() {
    line!("Signing a sample, over the wire:");
    line!();
}

/// What the demonstration has proven.
pub(crate) fn demo_ends(verified: &Verified) {
    line!();
    for subject in verified.identity().into_iter().flat_map(|i| &i.subjects) {
        line!("  signed by  {subject}");
    }
    for time in verified.times() {
        line!("  at         {}", time.time.truncated_to_second());
    }
    for entry in verified.log_entries() {
        line!("  log entry  number {}", entry.log_index);
    }
    line!();
}

/// What to type next: our own commands, or all.
pub(crate) fn commands(commands: &Commands<'_>, all: bool) {
    line!("It keeps serving. In another terminal, in this directory:");
    line!();
    if all {
        for group in commands.groups() {
            print_group(&group);
        }
    } else {
        print_group(&commands.own());
        line!(
            "For cosign, sigstore-python and sigstore-js: {}/",
            commands.url
        );
    }
    line!("Ctrl-C stops it.");
}

/// A code that mail would have carried.
pub(crate) fn code(address: &str, code: &str) {
    line!("  code for {address}: {code}");
}

/// How far a long command is, for a person who waits.
pub(crate) fn progress(done: u64, total: u64) {
    if std::io::stderr().is_terminal() {
        let percent = done.saturating_mul(100) / total.max(1);
        eprint!("\r\u{1b}[K{done} of {total} entries, {percent} %");
    }
}

/// The long command is over.
pub(crate) fn progress_ends() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[K");
    }
}

/// What was asked for.
pub(crate) fn text(text: &str) {
    line!("{text}");
}

/// The end, in good order.
pub(crate) fn stopped() {
    line!("Stopped.");
}

/// How a list looks to people.
pub(crate) struct Table<'a, T> {
    pub(crate) heads: &'a [&'a str],
    /// What is said of an empty list.
    pub(crate) nothing: &'a str,
    pub(crate) row: &'a dyn Fn(&T) -> Vec<String>,
}

/// A list: aligned columns, or JSON.
pub(crate) fn list<T: serde::Serialize>(
    json: bool,
    items: &[T],
    table: &Table<'_, T>,
) -> anyhow::Result<()> {
    if json {
        line!("{}", serde_json::to_string_pretty(items)?);
        return Ok(());
    }
    if items.is_empty() {
        line!("{}", table.nothing);
        return Ok(());
    }
    let heads = table.heads.iter().map(|head| (*head).to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![heads];
    rows.extend(items.iter().map(|item| {
        let cells = (table.row)(item);
        cells.iter().map(|cell| printable(cell)).collect()
    }));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..table.heads.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let text: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        line!("{}", text.join("  ").trim_end());
    }
    Ok(())
}

/// What was found about the providers.
pub(crate) fn checks(json: bool, checks: &[ConnectorCheck]) -> anyhow::Result<()> {
    if json {
        line!("{}", serde_json::to_string_pretty(checks)?);
        return Ok(());
    }
    for check in checks {
        line!("{} ({})", check.connector, printable(&check.connector_id));
        line!("  redirect URI  {}", printable(&check.redirect_uri));
        for finding in &check.findings {
            let result = match finding.result {
                CheckResult::Passed => "ok",
                CheckResult::Failed => "FAILED",
                _ => "unclear",
            };
            line!("  {result:<12}  {}", printable(&finding.text));
        }
    }
    Ok(())
}

/// Something was done.
pub(crate) fn done(json: bool, what: &str) -> anyhow::Result<()> {
    if json {
        line!(
            "{}",
            serde_json::to_string(&serde_json::json!({ "done": what }))?
        );
    } else {
        line!("{what}");
    }
    Ok(())
}

/// Text of somebody else's: nothing in it moves the cursor or turns the line around (S-60).
fn printable(text: &str) -> String {
    let shown = |c: char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

fn print_group(group: &Group) {
    line!("{}:", group.title);
    line!();
    for line in &group.lines {
        line!("  {line}");
    }
    line!();
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
