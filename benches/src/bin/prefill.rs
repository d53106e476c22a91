//! `cargo run --release -p waxseal-benches --bin prefill -- DATA --entries N`: fills the log of an
//! instance with small entries, for measurements on a large log.
//!
//! A tool for development: nobody signed these entries. The instance must have been started once
//! (`waxseald up --data DATA`) and must not be running; start it again afterwards.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use waxseal_benches::prefill;

const USAGE: &str = "usage: prefill DATA [--entries N]";

#[expect(clippy::print_stdout, reason = "a tool says what it did")]
fn main() -> Result<()> {
    let (mut data, mut entries) = (None, 10_000_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--entries" => entries = arguments.next().context(USAGE)?.parse()?,
            path if data.is_none() && !path.starts_with('-') => data = Some(PathBuf::from(path)),
            _ => bail!(USAGE),
        }
    }
    let data = data.context(USAGE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let began = Instant::now();
    runtime.block_on(prefill(&data, entries))?;
    println!(
        "{entries} entries in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
