//! The identity token: the one that was given, the CI job's, a kept one, or that of a log-in.

mod explain;
mod kept;
mod terminal;

use std::io::{IsTerminal as _, Read as _};

use waxseal_crypto_aws_lc::OsRandom;
use waxseal_identity::{
    Ambient, AmbientError, AmbientProvider, BrowserLogin, DeviceLogin, Environment as _,
    IdentityToken, LoginConfig, LoginError, LoginFlow, MAX_TOKEN, OutOfBandLogin,
    SystemEnvironment,
};
use waxseal_transport::Transport;

use crate::args::{FlowArgs, LoginArgs, OutputArgs};
use crate::outcome::{Class, Failure};
use crate::services::Instance;
use crate::sign::progress::say;
use crate::terminal::visible;
use explain::{ambient_refusal, login_refusal};
pub(crate) use kept::{Kept, log_out};
use terminal::Terminal;

/// Where a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Given,
    /// A CI service, or another that gives tokens to what it runs.
    Ambient(AmbientProvider),
    /// An earlier log-in.
    Kept,
    /// A log-in just now.
    Login,
}

impl Source {
    /// Its name for people and for JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Given => "--identity-token",
            Self::Ambient(provider) => provider.name(),
            Self::Kept => "cache",
            Self::Login => "log-in",
        }
    }
}

/// Obtains a token. Without a terminal, or in CI, nobody is asked: it fails at once, and says
/// which providers were looked for.
///
/// # Errors
/// [`Class::Identity`], [`Class::Unavailable`] if the issuer cannot be reached, or
/// [`Class::Refused`] if others can read or write the kept tokens.
pub(crate) async fn obtain(
    args: &LoginArgs,
    instance: &Instance,
    transport: &dyn Transport,
    output: OutputArgs,
) -> Result<IdentityToken, Failure> {
    let known = Known {
        given: args.identity_token.as_deref(),
        no_ambient: args.no_ambient,
        provider: args.flow.provider.as_deref(),
    };
    let none = match known.find(instance, transport).await? {
        Found::Token(token, source) => {
            if source == Source::Kept && !output.quiet {
                say(&format!(
                    "signing as {}, who logged in before",
                    visible(token.challenge())
                ));
            }
            return Ok(token);
        }
        Found::None(failure) => failure,
    };
    if !may_ask(&args.flow) {
        return Err(none.hint(
            "nobody can be asked here: --identity-token TOKEN|@FILE|-, or run it at a terminal",
        ));
    }
    let kept = match args.cache {
        true => Some(Kept::of_user()?),
        false => None,
    };
    let token = log_in(&args.flow, instance, transport).await?;
    if let Some(kept) = kept {
        kept.keep(&args.flow, instance, &token)?;
    }
    Ok(token)
}

/// The tokens that are there without asking anybody.
pub(crate) struct Known<'a> {
    /// On the command line.
    pub(crate) given: Option<&'a str>,
    /// Not a CI job's.
    pub(crate) no_ambient: bool,
    /// The provider of the log-in. Whoever names one means a log-in, and not the CI job.
    pub(crate) provider: Option<&'a str>,
}

/// What is there.
pub(crate) enum Found {
    /// A token, and where it came from.
    Token(IdentityToken, Source),
    /// None, and what to say about that.
    None(Failure),
}

impl Known<'_> {
    /// Looks for one.
    ///
    /// # Errors
    /// As [`obtain`], if one is there that cannot be used: another is not taken in its place.
    pub(crate) async fn find(
        &self,
        instance: &Instance,
        transport: &dyn Transport,
    ) -> Result<Found, Failure> {
        if let Some(text) = self.given {
            return given(text).map(|token| Found::Token(token, Source::Given));
        }
        let mut none = Failure::new(Class::Identity, "no-identity", "nobody is logged in");
        if !self.no_ambient && self.provider.is_none() {
            let ambient = Ambient::new(&SystemEnvironment, instance.audience()?);
            match ambient.token(transport).await {
                Ok((provider, token)) => {
                    return Ok(Found::Token(token, Source::Ambient(provider)));
                }
                Err(error @ AmbientError::NoProvider { .. }) => none = ambient_refusal(&error),
                Err(error) => return Err(ambient_refusal(&error)),
            }
        }
        // A CI job does not sign as whoever logged in on its machine.
        let found = match is_ci() {
            true => None,
            false => kept::find(self.provider, instance)?,
        };
        Ok(found.map_or(Found::None(none), |token| Found::Token(token, Source::Kept)))
    }
}

/// Logs a person in, in the way that fits the machine.
///
/// # Errors
/// As [`obtain`].
pub(crate) async fn log_in(
    args: &FlowArgs,
    instance: &Instance,
    transport: &dyn Transport,
) -> Result<IdentityToken, Failure> {
    if !may_ask(args) {
        let message = "nobody can be asked to log in here";
        return Err(Failure::new(Class::Identity, "no-identity", message)
            .hint("run it at a terminal, outside of CI"));
    }
    let config = config(args.provider.as_deref(), instance)?;
    let wanted = config.connector_id.clone();
    let flow = match (args.device, args.no_browser) {
        (true, _) => LoginFlow::Device,
        (_, true) => LoginFlow::OutOfBand,
        _ => LoginFlow::here(&SystemEnvironment),
    };
    let obtained = match flow {
        LoginFlow::OutOfBand => copied(config, transport).await,
        LoginFlow::Device => {
            let login = DeviceLogin {
                config: config.clone(),
                random: &OsRandom,
                prompt: &Terminal,
            };
            match login.log_in(transport).await {
                // Nobody asked for this flow, and another one is there.
                Err(LoginError::NoDeviceEndpoint) if !args.device => {
                    copied(config, transport).await
                }
                obtained => obtained,
            }
        }
        _ => {
            let login = BrowserLogin {
                config,
                random: &OsRandom,
                opener: &Terminal,
            };
            login.log_in(transport).await
        }
    };
    let token = obtained.map_err(|error| login_refusal(&error))?;
    let used = token.connector();
    match (wanted, used) {
        (Some(wanted), Some(used)) if wanted != used => {
            let message = "the log-in went through another provider";
            Err(Failure::new(Class::Identity, "provider-mismatch", message).expected(wanted, used))
        }
        _ => Ok(token),
    }
}

async fn copied(
    config: LoginConfig,
    transport: &dyn Transport,
) -> Result<IdentityToken, LoginError> {
    let login = OutOfBandLogin {
        config,
        random: &OsRandom,
        prompt: &Terminal,
    };
    login.log_in(transport).await
}

/// Where and as what to log in.
fn config(provider: Option<&str>, instance: &Instance) -> Result<LoginConfig, Failure> {
    let issuer = instance.issuer()?;
    let mut config = LoginConfig::new(issuer);
    config.connector_id = provider.map(|name| connector(name, issuer).to_owned());
    Ok(config)
}

/// The broker's id of a provider. The ids of the public instance are the providers' own issuers,
/// and every broker that wants the same certificates uses them too.
fn connector<'a>(name: &'a str, issuer: &'a str) -> &'a str {
    match name {
        "google" => "https://accounts.google.com",
        "github" => "https://github.com/login/oauth",
        "microsoft" => "https://login.microsoftonline.com",
        "facebook" => "https://www.facebook.com",
        // Addresses that the broker proves itself are vouched for by itself.
        "email" => issuer,
        id => id,
    }
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

fn is_ci() -> bool {
    SystemEnvironment.variable("CI").is_some()
}

/// Whether somebody is there to be asked. Whoever says `--device` is, in whatever window the
/// program's talk is shown; in CI nobody is.
fn may_ask(args: &FlowArgs) -> bool {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    (terminal || args.device) && !is_ci()
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

    #[test]
    fn providers_by_name() {
        let check = |name: &str, expected: &str| {
            assert_eq!(connector(name, "https://broker.example/auth"), expected);
        };
        check("google", "https://accounts.google.com");
        check("email", "https://broker.example/auth");
        check("https://idp.example", "https://idp.example");
        check("corp", "corp");
    }
}
