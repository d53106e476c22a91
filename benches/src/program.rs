//! Programs run as processes: wall time, and the most memory they had.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::Samples;

/// One command line, repeated.
#[derive(Debug, Clone)]
pub struct Program {
    program: std::path::PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Program {
    /// A program and its arguments.
    pub fn new<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            program: program.to_owned(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            environment: Vec::new(),
        }
    }

    /// Sets a variable of its environment, beside those of ours.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it once and adds its wall time, from before the start until after the end.
    ///
    /// # Errors
    /// If it does not start, or fails; its stderr is told.
    pub fn time(&self, samples: &mut Samples) -> Result<()> {
        let started = Instant::now();
        let output = self.command().output();
        samples.add(started.elapsed());
        let output = output.with_context(|| self.program.display().to_string())?;
        ensure!(
            output.status.success(),
            "{} {}: {}",
            self.program.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    /// Runs it some times and gives the most memory that it had resident, in bytes: what the kernel
    /// said last before an end (`VmHWM`). `None` where there is no such `/proc`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn peak_memory(&self) -> Result<Option<u64>> {
        let mut peak = None;
        // A program of a few milliseconds may be over before it is looked at again.
        for _ in 0..20 {
            peak = peak.max(self.memory_of_one_run()?);
        }
        Ok(peak)
    }

    fn memory_of_one_run(&self) -> Result<Option<u64>> {
        let mut command = self.command();
        let mut child = command
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak = None;
        while child.try_wait()?.is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            peak = peak.max(high_water_mark(&text));
        }
        Ok(peak)
    }
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read() {
        let check = |text: &str, expected| assert_eq!(high_water_mark(text), expected);
        check(
            "Name:\tx\nVmHWM:\t    1024 kB\nVmRSS:\t 1 kB\n",
            Some(1 << 20),
        );
        check("Name:\tx\n", None);
        check("VmHWM:\t many kB\n", None);
    }
}
