//! Processes: run to their end, or kept while a test needs them and ended by their id.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::workspace;

/// Runs a program to its end.
///
/// # Errors
/// What it printed, if it did not succeed.
pub fn run(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// Runs a program to its end, for its standard output.
///
/// # Errors
/// What it printed, if it did not succeed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{shown}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Err(format!("{shown}\n{}\n{out}\n{err}", output.status))
}

/// The path of a program of this workspace, built first.
///
/// # Panics
/// If it cannot be built.
#[expect(clippy::panic, reason = "a test without its program has failed")]
pub fn our(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let cargo = option_env!("CARGO").unwrap_or("cargo");
        let mut command = Command::new(cargo);
        command.args([
            "build",
            "--quiet",
            "--package",
            "waxseal",
            "--package",
            "waxseald",
            // The scripted browser.
            "--package",
            "waxseal-tests-interop",
        ]);
        if let Err(error) = run(command.current_dir(workspace())) {
            panic!("the programs under test cannot be built: {error}");
        }
        folder_of_programs()
    });
    folder.join(name)
}

/// Tests run from `<target>/<profile>/deps`, beside which programs are.
fn folder_of_programs() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.ancestors().nth(2).map(PathBuf::from);
    folder.unwrap_or_default()
}

/// A server that is ended when the test is done with it.
#[derive(Debug)]
pub struct Server(Child);

impl Server {
    /// Starts a server; what it prints goes to the end of a file.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, log: &std::path::Path) -> Result<Self, String> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| error.to_string())?;
        let other = file.try_clone().map_err(|error| error.to_string())?;
        let shown = format!("{command:?}");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(other)
            .spawn();
        child.map(Self).map_err(|error| format!("{shown}: {error}"))
    }
}

impl Server {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// If it does not end in half a minute, or not well.
    pub fn stop(mut self) -> Result<(), String> {
        let id = self.id().to_string();
        run(Command::new("kill").args(["-TERM", &id]))?;
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(30) {
            let ended = self.0.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                let told = format!("the server was asked to end: {status}");
                return status.success().then_some(()).ok_or(told);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("the server was asked to end and goes on".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
