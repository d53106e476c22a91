//! What is going on, for a person who waits: on a terminal, and only after a moment.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use waxseal_sign::{Progress, Step};

use crate::args::OutputArgs;

/// Work that is done by then is not spoken of.
const MOMENT: Duration = Duration::from_millis(200);
/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(100);
/// Back to the start of the line, which is cleared.
const CLEAR: &str = "\r\u{1b}[K";

/// Says something on stderr, on a line of its own.
pub(crate) fn say(text: &str) {
    // Talk that nobody can hear changes nothing.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// The step that is going on.
pub(crate) struct Shown {
    enabled: bool,
    current: Mutex<Option<(Step, Instant)>>,
}

impl Shown {
    /// Shows steps where somebody looks.
    pub(crate) fn new(output: OutputArgs) -> Self {
        let enabled = !output.quiet && !output.json && std::io::stderr().is_terminal();
        Self {
            enabled,
            current: Mutex::new(None),
        }
    }

    /// Drives a future, and draws the step that it is at.
    pub(crate) async fn while_running<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        // Also when it is dropped before its end.
        let _clear = Cleared(self);
        let started = Instant::now();
        loop {
            tokio::select! {
                output = &mut future => return output,
                () = tokio::time::sleep(TICK) => {
                    if started.elapsed() >= MOMENT {
                        self.draw(&format!("{CLEAR}{}", self.line()));
                    }
                }
            }
        }
    }

    fn line(&self) -> String {
        let current = self.current.lock().ok().and_then(|current| *current);
        current.map_or_else(String::new, |(step, since)| {
            format!("{}… {:.1} s", step.name(), since.elapsed().as_secs_f32())
        })
    }

    fn draw(&self, text: &str) {
        if self.enabled {
            drop(std::io::stderr().write_all(text.as_bytes()));
            drop(std::io::stderr().flush());
        }
    }
}

/// Clears the line at its end.
struct Cleared<'a>(&'a Shown);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.0.draw(CLEAR);
    }
}

impl Progress for Shown {
    fn begin(&self, step: Step) {
        if let Ok(mut current) = self.current.lock() {
            *current = Some((step, Instant::now()));
        }
    }
}
