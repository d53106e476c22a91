//! `waxseal identity token`: the token on stdout, for programs that take one.

use std::io::Write as _;

use serde_json::json;

use crate::args::{IdentityCommand, IdentityCommandArgs, TokenArgs};
use crate::outcome::Failed;
use crate::services::{self, Instance};
use crate::sign::login;
use crate::verify::report::unwritable;

/// Runs a command about identities.
///
/// # Errors
/// As [`login::obtain`].
pub(crate) fn run(args: &IdentityCommandArgs) -> Result<(), Failed> {
    match &args.command {
        IdentityCommand::Token(args) => token(args),
    }
}

fn token(args: &TokenArgs) -> Result<(), Failed> {
    let instance = Instance::load(&args.trust, args.signing_config.as_deref())?;
    let transport = services::transport(args.ca_cert.as_deref())?;
    let obtained = login::obtain(&args.login, &instance, &transport);
    let token = services::block_on(obtained)??;
    let text = if args.output.json {
        let object = json!({
            "ok": true,
            "token": token.expose(),
            "issuer": token.issuer(),
            "subject": token.subject(),
            "email": token.email(),
            "audiences": token.audiences().collect::<Vec<_>>(),
            "expires": token.expires().to_string(),
        });
        object.to_string()
    } else {
        token.expose().to_owned()
    };
    writeln!(std::io::stdout(), "{text}").map_err(|error| unwritable(&error).into())
}
