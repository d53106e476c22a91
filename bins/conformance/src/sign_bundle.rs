//! `sign-bundle`: a file or a statement, with a token that was given.

use std::fs;

use anyhow::{Context as _, Result};
use waxseal_crypto::{Clock as _, Digest};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_formats::SigningConfig;
use waxseal_identity::IdentityToken;
use waxseal_sign::{Endpoints, Payload, SigningContext, Silent};
use waxseal_transport_reqwest::ReqwestTransport;
use waxseal_verify::Verifier;

use crate::args::SignBundle;
use crate::verify_bundle::{read, trusted_root};

pub(crate) fn run(args: &SignBundle) -> Result<()> {
    let root = trusted_root(args.trusted_root.as_deref(), args.staging)?;
    let config = match &args.signing_config {
        Some(path) => SigningConfig::from_json(&read(path)?).context("the signing config")?,
        None if args.staging => SigningConfig::staging(),
        None => SigningConfig::public_good(),
    };
    let context = SigningContext {
        provider: provider(),
        transport: &ReqwestTransport::builder().build()?,
        clock: &SystemClock,
        random: &OsRandom,
        trusted_root: &root,
        verifier: &Verifier::new(provider(), &root)?,
        endpoints: &Endpoints::select(&config, SystemClock.now())?,
        progress: &Silent,
        min_scts: 1,
    };
    let token = IdentityToken::parse(&args.identity_token).context("the identity token")?;
    let bytes = read(&args.artifact)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signed = runtime.block_on(async {
        let session = context.certify(token).await?;
        let payload = if args.in_toto {
            Payload::statement(bytes)?
        } else {
            Payload::artifact(Digest::of(session.hash_algorithm(), &bytes))
        };
        anyhow::Ok(session.sign(&payload).await?)
    })?;
    fs::write(&args.bundle, signed.bundle.to_json())
        .with_context(|| args.bundle.display().to_string())
}
