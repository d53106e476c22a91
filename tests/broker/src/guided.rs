//! A program at a terminal: what it prints is read while it runs, and it is typed to.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long it may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; it ends with this value.
#[derive(Debug)]
pub struct Guided {
    child: Child,
    input: Option<ChildStdin>,
    printed: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    shown: String,
}

impl Guided {
    /// Starts it.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(command: &mut Command) -> Result<Self, String> {
        let shown = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{shown}: {error}"))?;
        let printed = Arc::<Mutex<String>>::default();
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            readers.push(read(output, &printed));
        }
        if let Some(output) = child.stderr.take() {
            readers.push(read(output, &printed));
        }
        Ok(Self {
            input: child.stdin.take(),
            child,
            printed,
            readers,
            shown,
        })
    }

    /// What it has printed so far, on both ways out.
    #[must_use]
    pub fn printed(&self) -> String {
        self.printed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until what it has printed holds something.
    ///
    /// # Errors
    /// What it printed, if it does not come.
    pub fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let ended = self.child.try_wait().ok().flatten();
            if let Some(found) = find(&self.printed()) {
                return Ok(found);
            }
            if let Some(status) = ended {
                return Err(format!("{}\n{status}\n{}", self.shown, self.printed()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{}\nis silent\n{}", self.shown, self.printed()))
    }

    /// Types a line.
    ///
    /// # Errors
    /// If it no longer listens.
    pub fn type_line(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("its input is closed")?;
        let typed = writeln!(input, "{line}").and_then(|()| input.flush());
        typed.map_err(|error| format!("{}: {error}", self.shown))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What it printed, if it does not end well.
    pub fn ends(mut self) -> Result<(), String> {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if begun.elapsed() > PATIENCE => {
                    return Err(format!("{}\ndoes not end\n{}", self.shown, self.printed()));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
        if status.success() {
            Ok(())
        } else {
            Err(format!("{}\n{status}\n{}", self.shown, self.printed()))
        }
    }
}

impl Drop for Guided {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(mut output: impl Read + Send + 'static, printed: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let printed = Arc::clone(printed);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = output.read(&mut buffer) {
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                return;
            };
            let text = String::from_utf8_lossy(bytes);
            let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
            printed.push_str(&text);
        }
    })
}
