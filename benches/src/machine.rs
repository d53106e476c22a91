//! The machine that a bench runs on, and what its processes use of it: figures mean little without.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::Samples;

/// The load average of the last 1, 5 and 15 minutes; `?` where there is none.
pub fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| "?".to_owned());
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// What an append that must be on the disk costs in a folder: 4 KiB and `fdatasync`.
///
/// # Errors
/// If no file can be written there.
pub fn disk(folder: &Path) -> Result<String> {
    let path = folder.join("fsync");
    let mut file = std::fs::File::create(&path)?;
    let mut samples = Samples::default();
    for _ in 0..200 {
        let started = Instant::now();
        std::io::Write::write_all(&mut file, &[7; 4096])?;
        file.sync_data()?;
        samples.add(started.elapsed());
    }
    std::fs::remove_file(&path)?;
    let micros = |share| samples.quantile(share).as_micros();
    Ok(format!(
        "disk: append of 4 KiB and fdatasync, p50 {} µs, p99 {} µs",
        micros(0.5),
        micros(0.99)
    ))
}

/// A runtime with two workers: as many as the machines have that the figures are told for.
///
/// # Errors
/// If the system gives no threads.
pub fn two_workers() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// A program in the folder of this one.
///
/// # Errors
/// If it was not built.
pub fn beside(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    bail!("there is no `{name}` beside this program: cargo build --release -p waxseal -p waxseald")
}

/// Bytes as megabytes, with one decimal.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a size to be looked at, with one decimal"
)]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// Time on a processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuTime {
    /// In the program.
    pub user: Duration,
    /// In the kernel for it.
    pub system: Duration,
}

impl CpuTime {
    /// Both.
    pub fn total(&self) -> Duration {
        self.user + self.system
    }

    /// What came after an earlier time.
    #[must_use]
    pub const fn since(&self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// The time that a process was on a processor so far; `None` where there is no such `/proc`.
pub fn cpu_time(id: u32) -> Option<CpuTime> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// Linux counts in hundredths of a second for programs, on every machine of ours.
const TICK: Duration = Duration::from_millis(10);

fn parse_stat(stat: &str) -> Option<CpuTime> {
    // The name may hold anything, also blanks and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || Some(TICK * fields.next()?.parse().ok()?);
    Some(CpuTime {
        user: ticks()?,
        system: ticks()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_this_program_is_read() {
        let stat = "17 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 31 0 0 20 0 1";
        let time = parse_stat(stat).unwrap();
        assert_eq!(time.user, Duration::from_millis(2500));
        assert_eq!(time.system, Duration::from_millis(310));
        assert_eq!(parse_stat("17 (a) S 1"), None);
        assert!(cpu_time(std::process::id()).is_some());
    }
}
