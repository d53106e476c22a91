//! `waxseal identity`: logs in, shows who that is, hands a token over, and forgets it.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use waxseal_crypto::Clock as _;
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_identity::IdentityToken;

use crate::args::{
    IdentityCommand, IdentityCommandArgs, IdentityLoginArgs, IssuerArgs, LogoutArgs, OutputArgs,
    TokenArgs, TrustArgs, WhoamiArgs,
};
use crate::login::{self, Found, Kept, Known, Source};
use crate::outcome::{Failed, Failure};
use crate::services::{self, Instance};
use crate::terminal::visible;
use crate::verify::report::unwritable;

/// Runs a command about identities.
///
/// # Errors
/// As [`login::obtain`].
pub(crate) fn run(args: &IdentityCommandArgs) -> Result<(), Failed> {
    match &args.command {
        IdentityCommand::Login(args) => log_in(args),
        IdentityCommand::Token(args) => token(args),
        IdentityCommand::Whoami(args) => whoami(args),
        IdentityCommand::Logout(args) => log_out(args),
    }
    .map_err(Failed::from)
}

fn load(trust: &TrustArgs, issuer: &IssuerArgs) -> Result<Instance, Failure> {
    Instance::load(trust, issuer.signing_config.as_deref())
}

fn log_in(args: &IdentityLoginArgs) -> Result<(), Failure> {
    let instance = load(&args.trust, &args.issuer)?;
    let transport = services::transport(args.issuer.ca_cert.as_deref())?;
    // Before anybody logs in: what cannot be kept need not be obtained.
    let kept = Kept::of_user()?;
    let logging_in = login::log_in(&args.flow, &instance, &transport);
    let token = services::block_on(logging_in)??;
    kept.keep(&args.flow, &instance, &token)?;
    show(&token, Source::Login, args.output)
}

fn token(args: &TokenArgs) -> Result<(), Failure> {
    let instance = load(&args.trust, &args.issuer)?;
    let transport = services::transport(args.issuer.ca_cert.as_deref())?;
    let obtained = login::obtain(&args.login, &instance, &transport, args.output);
    let token = services::block_on(obtained)??;
    let text = if args.output.json {
        told(&token, [("token", json!(token.expose()))])
    } else {
        token.expose().to_owned()
    };
    write(&text)
}

fn whoami(args: &WhoamiArgs) -> Result<(), Failure> {
    let instance = load(&args.trust, &args.issuer)?;
    let transport = services::transport(args.issuer.ca_cert.as_deref())?;
    let known = Known {
        given: args.identity_token.as_deref(),
        no_ambient: args.no_ambient,
        provider: args.provider.as_deref(),
    };
    match services::block_on(known.find(&instance, &transport))?? {
        Found::Token(token, source) => show(&token, source, args.output),
        Found::None(failure) => Err(failure.hint("waxseal identity login")),
    }
}

fn log_out(args: &LogoutArgs) -> Result<(), Failure> {
    let count = login::log_out()?;
    match (args.output.json, args.output.quiet) {
        (true, _) => write(&json!({ "ok": true, "removed": count }).to_string()),
        (_, true) => Ok(()),
        _ if count == 0 => write("no token was kept"),
        _ => write("logged out: nothing is kept any more"),
    }
}

/// What a token says, and something more, as an object. The token is not in it.
fn told<const N: usize>(token: &IdentityToken, more: [(&str, Value); N]) -> String {
    let members = [
        ("ok", json!(true)),
        ("identity", json!(token.challenge())),
        ("issuer", json!(token.issuer())),
        ("provider", json!(token.connector())),
        ("subject", json!(token.subject())),
        ("email", json!(token.email())),
        ("audiences", json!(token.audiences().collect::<Vec<_>>())),
        ("expires", json!(token.expires().to_string())),
    ];
    let all = members.into_iter().chain(more);
    let object: Map<String, Value> = all.map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(object).to_string()
}

/// Shows who a token says one is.
fn show(token: &IdentityToken, source: Source, output: OutputArgs) -> Result<(), Failure> {
    let left = token
        .expires()
        .unix_seconds()
        .saturating_sub(SystemClock.now().unix_seconds());
    if output.json {
        let more = [
            ("source", json!(source.name())),
            ("expired", json!(left <= 0)),
        ];
        return write(&told(token, more));
    }
    if output.quiet {
        return Ok(());
    }
    let mut text = visible(token.challenge());
    let mut line = |name: &str, value: &str| {
        text.push_str(&format!("\n  {name:<9} {}", visible(value)));
    };
    line("issuer", token.issuer());
    if let Some(provider) = token.connector() {
        line("provider", provider);
    }
    line("for", &token.audiences().collect::<Vec<_>>().join(", "));
    let when = match left {
        ..=0 => "over".to_owned(),
        1..=119 => format!("in {left} s"),
        _ => format!("in {} min", left / 60),
    };
    line("expires", &format!("{} ({when})", token.expires()));
    line("from", source.name());
    write(&text)
}

fn write(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| unwritable(&error))
}
