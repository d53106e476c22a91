//! The identity token: the one that was given, the CI job's, or that of a log-in.

use std::io::{IsTerminal as _, Read as _, Write as _};

use waxseal_crypto_aws_lc::OsRandom;
use waxseal_identity::{
    Ambient, AmbientError, BrowserLogin, CodePrompt, Environment as _, IdentityToken, LoginConfig,
    LoginError, MAX_TOKEN, ObtainError, Opener, OutOfBandLogin, SystemEnvironment, TokenSource,
};
use waxseal_transport::{BoxFuture, Transport, Url};

use super::progress::say;
use crate::args::LoginArgs;
use crate::outcome::{Class, Failure};
use crate::services::Instance;
use crate::terminal::visible;

/// Obtains a token. Without a terminal, or in CI, nobody is asked: it fails at once, and says
/// which providers were looked for.
///
/// # Errors
/// [`Class::Identity`], or [`Class::Unavailable`] if the issuer cannot be reached.
pub(crate) async fn obtain(
    args: &LoginArgs,
    instance: &Instance,
    transport: &dyn Transport,
) -> Result<IdentityToken, Failure> {
    if let Some(text) = &args.identity_token {
        return given(text);
    }
    let ambient = Ambient::new(&SystemEnvironment, instance.audience()?);
    let tried = match ambient.obtain(transport).await {
        Ok(token) => return Ok(token),
        Err(ObtainError::Ambient(error @ AmbientError::NoProvider { .. })) => error,
        Err(error) => return Err(refused(&error)),
    };
    if !is_interactive() {
        return Err(refused(&tried).hint(
            "nobody can be asked here: --identity-token TOKEN|@FILE|-, or run it at a terminal",
        ));
    }
    let config = LoginConfig::new(instance.issuer()?);
    let obtained = if args.no_browser {
        OutOfBandLogin {
            config,
            random: &OsRandom,
            prompt: &Terminal,
        }
        .obtain(transport)
        .await
    } else {
        BrowserLogin {
            config,
            random: &OsRandom,
            opener: &Terminal,
        }
        .obtain(transport)
        .await
    };
    obtained.map_err(|error| refused(&error))
}

/// A token of the command line: itself, `@FILE`, or `-` for stdin.
fn given(text: &str) -> Result<IdentityToken, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(
            Class::Identity,
            "token-unreadable",
            "the identity token cannot be read",
        )
        .because(&error)
    };
    let limit = u64::try_from(MAX_TOKEN)
        .unwrap_or(u64::MAX)
        .saturating_add(16);
    let mut read = String::new();
    let text = if text == "-" {
        std::io::stdin()
            .take(limit)
            .read_to_string(&mut read)
            .map_err(unreadable)?;
        &read
    } else if let Some(path) = text.strip_prefix('@') {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(limit)
            .read_to_string(&mut read)
            .map_err(unreadable)?;
        &read
    } else {
        text
    };
    IdentityToken::parse(text).map_err(|error| {
        Failure::new(
            Class::Identity,
            "token-malformed",
            "this is not an identity token",
        )
        .because(&error)
        .hint("--identity-token takes the token itself, @FILE, or - for stdin")
    })
}

fn refused(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut cause = Some(error);
    let mut class = Class::Identity;
    while let Some(error) = cause {
        if error.is::<waxseal_transport::TransportError>() {
            class = Class::Unavailable;
        }
        cause = error.source();
    }
    Failure::new(class, "no-identity", error.to_string()).led_by(error)
}

/// Whether somebody is there to be asked.
fn is_interactive() -> bool {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    terminal && SystemEnvironment.variable("CI").is_none()
}

/// The person at the terminal.
struct Terminal;

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

impl CodePrompt for Terminal {
    fn code<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<String, LoginError>> {
        Box::pin(async move {
            say(&format!(
                "log in at:\n  {}\nand type the code that it shows.",
                visible(url.as_str())
            ));
            drop(write!(std::io::stderr(), "code: "));
            drop(std::io::stderr().flush());
            let mut line = String::new();
            std::io::stdin()
                .read_line(&mut line)
                .map_err(|_| LoginError::NoCode)?;
            Ok(line.trim().to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"alg":"RS256"} . {"iss":"https://a.example","sub":"me","aud":"sigstore","exp":1} . …
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsInN1YiI6Im1lIiwiYXVkIjoic2lnc3RvcmUiLCJleHAiOjF9.c2ln";

    #[test]
    fn tokens_of_the_command_line() {
        assert_eq!(given(TOKEN).unwrap().challenge(), "me");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
        let said = format!("@{}", file.path().display());
        assert_eq!(given(&said).unwrap().challenge(), "me");
        for text in ["", "hello", "@/nowhere/at/all", "a.b.c"] {
            assert_eq!(given(text).unwrap_err().class, Class::Identity, "{text}");
        }
    }
}
