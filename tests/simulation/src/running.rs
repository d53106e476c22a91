//! `waxseald up` as a process: started, asked whether it is ready, killed.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{Chance, Connection, Outcome, text};

/// How long a start may take before it counts as failed; how long it should take is said by the
/// benches.
const START: Duration = Duration::from_secs(60);

/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(2);

/// Names and values of an environment.
pub type Variables = [(String, PathBuf)];

/// An instance that runs; it is killed with this value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    data: PathBuf,
    port: u16,
    started: Instant,
}

impl Running {
    /// Starts an instance on a directory and a port; it is not ready yet. What it prints is
    /// appended to a file beside the directory.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(program: &Path, data: &Path, port: u16) -> Outcome<Self> {
        Self::spawn_with(program, data, port, &[])
    }

    fn spawn_with(program: &Path, data: &Path, port: u16, extra: &Variables) -> Outcome<Self> {
        let started = Instant::now();
        let child = Command::new(program)
            .envs(extra.iter().map(|(name, value)| (name, value)))
            .arg("up")
            .arg("--data")
            .arg(data)
            .args(["--listen", &format!("localhost:{port}")])
            .stdin(Stdio::null())
            .stdout(log(data)?)
            .stderr(log(data)?)
            .spawn();
        let child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self {
            child,
            data: data.to_owned(),
            port,
            started,
        })
    }

    /// Starts an instance, and waits until it is ready: all that came between is in the time.
    ///
    /// # Errors
    /// What it printed, if it is not ready in a minute or ends before.
    pub async fn start(program: &Path, data: &Path, port: u16) -> Outcome<(Self, Duration)> {
        Self::start_with(program, data, port, &[]).await
    }

    /// The same, with variables of its environment.
    ///
    /// # Errors
    /// What it printed, if it is not ready in a minute or ends before.
    pub async fn start_with(
        program: &Path,
        data: &Path,
        port: u16,
        extra: &Variables,
    ) -> Outcome<(Self, Duration)> {
        let mut process = Self::spawn_with(program, data, port, extra)?;
        while process.started.elapsed() < START {
            if let Some(status) = process.child.try_wait().map_err(text)? {
                return Err(format!("waxseald ended: {status}\n{}", process.printed()));
            }
            if let Ok(mut connection) = Connection::open(port).await {
                let ready = connection.get("/readyz").await;
                if ready.is_ok_and(|answer| answer.status == 200) {
                    let time = process.started.elapsed();
                    return Ok((process, time));
                }
            }
            tokio::time::sleep(POLL).await;
        }
        let printed = process.printed();
        Err(format!("waxseald did not become ready:\n{printed}"))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has; it is waited for so long.
    ///
    /// # Errors
    /// The system does not say.
    pub async fn end(&mut self, patience: Duration) -> Outcome<Option<ExitStatus>> {
        let begin = Instant::now();
        loop {
            let status = self.child.try_wait().map_err(text)?;
            if status.is_some() || begin.elapsed() >= patience {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Ends it where it stands: SIGKILL.
    ///
    /// # Errors
    /// What it printed, if it had ended by itself.
    pub fn kill(mut self) -> Outcome<()> {
        if let Some(status) = self.child.try_wait().map_err(text)? {
            return Err(format!("waxseald had ended: {status}\n{}", self.printed()));
        }
        self.child.kill().map_err(text)?;
        self.child.wait().map(drop).map_err(text)
    }

    /// The end of what it printed.
    pub fn printed(&self) -> String {
        let printed = std::fs::read_to_string(log_path(&self.data)).unwrap_or_default();
        let lines: Vec<_> = printed.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn log_path(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn log(data: &Path) -> Outcome<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log_path(data));
    file.map_err(text)
}

/// The memory that a process has resident, in bytes: `VmRSS`, or `VmHWM` for the most it ever had.
/// `None` where there is no such `/proc`.
pub fn resident_memory(id: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let line = line.strip_prefix(':')?.trim().strip_suffix("kB")?;
    let kilobytes: u64 = line.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// A port that is free on loopback, and is not one of those that the system gives to clients: an
/// instance that is started again must get the same.
///
/// # Errors
/// If none is found.
pub fn free_port(chance: &mut Chance) -> Outcome<u16> {
    for _ in 0..100 {
        let port = 20_000 + u16::try_from(chance.below(12_000)).map_err(text)?;
        let is_free = |address| match TcpListener::bind((address, port)) {
            Ok(_) => true,
            // A machine without IPv6 has one loopback address.
            Err(error) => error.kind() == std::io::ErrorKind::AddrNotAvailable,
        };
        if is_free("127.0.0.1") && is_free("::1") {
            return Ok(port);
        }
    }
    Err("no port is free".to_owned())
}

/// The path of a program of this workspace, built first.
///
/// # Panics
/// If it cannot be built.
#[expect(clippy::panic, reason = "a test without its program has failed")]
pub fn our(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap_or_default();
        // Tests run from `<target>/<profile>/deps`, beside which programs are.
        let folder = test.ancestors().nth(2).map(PathBuf::from);
        let folder = folder.unwrap_or_default();
        let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
        command
            .args(["build", "--quiet", "--package", "waxseal"])
            .args(["--package", "waxseald"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
        if folder.ends_with("release") {
            command.arg("--release");
        }
        match command.status() {
            Ok(status) if status.success() => {}
            other => panic!("the programs under test cannot be built: {other:?}"),
        }
        folder
    });
    folder.join(name)
}
