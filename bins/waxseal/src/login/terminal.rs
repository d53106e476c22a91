//! The person at the terminal.

use std::io::Write as _;

use waxseal_identity::{
    CodePrompt, DevicePage, DevicePrompt, Environment as _, LoginError, Opener, SystemEnvironment,
};
use waxseal_transport::{BoxFuture, Url};

use crate::sign::progress::say;
use crate::terminal::visible;

/// Shows addresses and codes on stderr, and reads from stdin.
pub(super) struct Terminal;

impl Opener for Terminal {
    /// Shows the address, and asks the desktop to open it; where it cannot, the person can.
    fn open(&self, url: &Url) {
        say(&format!("log in at:\n  {}", visible(url.as_str())));
        let opener = SystemEnvironment.variable("BROWSER");
        let opener = opener.unwrap_or_else(|| DESKTOP_OPENER.to_owned());
        let quiet = std::process::Stdio::null;
        let command = std::process::Command::new(opener)
            .arg(url.as_str())
            .stdin(quiet())
            .stdout(quiet())
            .stderr(quiet())
            .spawn();
        drop(command);
    }
}

#[cfg(target_os = "macos")]
const DESKTOP_OPENER: &str = "open";
#[cfg(not(target_os = "macos"))]
const DESKTOP_OPENER: &str = "xdg-open";

impl DevicePrompt for Terminal {
    fn show(&self, page: &DevicePage) {
        let uri = visible(page.verification_uri.as_str());
        let code = visible(&page.user_code);
        let mut text = format!("log in at:\n  {uri}\nand enter the code:\n  {code}");
        if let Some(complete) = &page.verification_uri_complete {
            let complete = visible(complete.as_str());
            text.push_str(&format!("\nor open, and compare the code:\n  {complete}"));
        }
        say(&text);
    }
}

impl CodePrompt for Terminal {
    fn code<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<String, LoginError>> {
        Box::pin(async move {
            say(&format!(
                "log in at:\n  {}\nand type the code that it shows.",
                visible(url.as_str())
            ));
            drop(write!(std::io::stderr(), "code: "));
            drop(std::io::stderr().flush());
            let mut line = OpenLine(true);
            let code = read_line().await;
            // Who typed ended the line.
            line.0 = code.is_err();
            code
        })
    }
}

/// A line that was begun: it is ended, whatever happens.
struct OpenLine(bool);

impl Drop for OpenLine {
    fn drop(&mut self) {
        if self.0 {
            say("");
        }
    }
}

/// A line of stdin, read by a thread that nobody waits for: the limit of a log-in and Ctrl-C hold
/// while it waits.
async fn read_line() -> Result<String, LoginError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("code".to_owned());
    let spawned = thread.spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        // Nobody listens once the log-in is over.
        drop(sender.send(read.map(|_| line)));
    });
    spawned.map_err(|_| LoginError::NoCode)?;
    match receiver.await {
        Ok(Ok(line)) => Ok(line.trim().to_owned()),
        _ => Err(LoginError::NoCode),
    }
}
