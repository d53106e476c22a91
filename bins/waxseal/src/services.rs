//! Where to go to sign: the signing config of the instance, and how requests travel.

use std::path::{Path, PathBuf};

use waxseal_crypto::{Clock as _, Time};
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_formats::{ClientTrustConfig, SigningConfig};
use waxseal_identity::Audience;
use waxseal_sign::Endpoints;
use waxseal_transport_reqwest::ReqwestTransport;
use waxseal_trust::{Services, Versions};

use crate::args::TrustArgs;
use crate::outcome::{Class, Failure};
use crate::trust::{self, CLIENT_FOLDER, Trust};

const SIGNING_CONFIG: &str = "signing_config.json";

/// An instance to sign with.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Whom to trust.
    pub(crate) trust: Trust,
    config: SigningConfig,
    /// Whether it is a private instance: it gets tokens that are made for it alone.
    pub(crate) is_private: bool,
}

impl Instance {
    /// Reads the files that the arguments name, or what ships in this program.
    ///
    /// # Errors
    /// [`Class::TrustRoot`] if one is missing or malformed.
    pub(crate) fn load(args: &TrustArgs, signing_config: Option<&Path>) -> Result<Self, Failure> {
        let trust = trust::load(args)?;
        let config = match (signing_config, &args.instance) {
            (Some(path), _) => from_file(path)?,
            (None, Some(instance)) => from_file(&config_of(instance)?)?,
            (None, None) if args.staging => SigningConfig::staging(),
            (None, None) => SigningConfig::public_good(),
        };
        let is_private = args.instance.is_some() || signing_config.is_some();
        Ok(Self {
            trust,
            config,
            is_private,
        })
    }

    /// The services that are used now.
    ///
    /// # Errors
    /// [`Class::TrustRoot`] if the signing config names none that can be used.
    pub(crate) fn endpoints(&self) -> Result<Endpoints, Failure> {
        Endpoints::select(&self.config, now()).map_err(|error| unusable(&error))
    }

    /// The issuer to log in at.
    ///
    /// # Errors
    /// [`Class::TrustRoot`] if the signing config names none.
    pub(crate) fn issuer(&self) -> Result<&str, Failure> {
        let provider = self
            .services()
            .identity_provider()
            .map_err(|error| unusable(&error))?;
        Ok(&provider.url)
    }

    /// The certificate authority that tokens are for.
    ///
    /// # Errors
    /// [`Class::TrustRoot`] if the signing config names none.
    pub(crate) fn authority(&self) -> Result<&str, Failure> {
        let authority = self
            .services()
            .certificate_authority()
            .map_err(|error| unusable(&error))?;
        Ok(&authority.url)
    }

    /// For whom CI tokens are made: a private instance asks for its own, so that nobody can use
    /// what it was given at the public one.
    ///
    /// # Errors
    /// [`Class::TrustRoot`] if the signing config names no certificate authority.
    pub(crate) fn audience(&self) -> Result<Audience, Failure> {
        if !self.is_private {
            return Ok(Audience::public());
        }
        let authority = self.authority()?;
        Ok(Audience::of_instance(authority, self.issuer().ok()))
    }

    fn services(&self) -> Services<'_> {
        Services::new(&self.config, Versions::CURRENT, now())
    }
}

fn now() -> Time {
    SystemClock.now()
}

fn unusable(error: &dyn std::error::Error) -> Failure {
    Failure::new(
        Class::TrustRoot,
        "signing-config-unusable",
        error.to_string(),
    )
    .hint("--signing-config FILE, --instance DIR|FILE")
}

/// The file with an instance's signing config: in its client folder, in the folder itself, or the
/// file with everything in it.
fn config_of(instance: &Path) -> Result<PathBuf, Failure> {
    if !instance.is_dir() {
        return Ok(instance.to_owned());
    }
    let candidates = [
        instance.join(CLIENT_FOLDER).join(SIGNING_CONFIG),
        instance.join(SIGNING_CONFIG),
    ];
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let message = format!("{} has no {SIGNING_CONFIG}", instance.display());
            Failure::new(Class::TrustRoot, "signing-config-missing", message)
                .hint("the data directory of an instance has one in its folder client")
        })
}

fn from_file(path: &Path) -> Result<SigningConfig, Failure> {
    let bytes = trust::read(path)?;
    let malformed = |error: &dyn std::error::Error| {
        let message = format!("the signing config {} cannot be used", path.display());
        Failure::new(Class::TrustRoot, "signing-config-malformed", message).because(error)
    };
    if trust::media_type(&bytes).is_some_and(|name| name.contains("clienttrustconfig")) {
        let config = ClientTrustConfig::from_json(&bytes).map_err(|error| malformed(&error))?;
        return Ok(config.signing_config);
    }
    SigningConfig::from_json(&bytes).map_err(|error| malformed(&error))
}

/// What carries requests: TLS with the system's roots, and those of a file.
///
/// # Errors
/// [`Class::Usage`] if the file cannot be used.
pub(crate) fn transport(ca_cert: Option<&Path>) -> Result<ReqwestTransport, Failure> {
    let builder = ReqwestTransport::builder();
    let builder = match ca_cert {
        Some(path) => builder.ca_file(path),
        None => builder,
    };
    builder.build().map_err(|error| {
        Failure::new(Class::Usage, "transport", "no connection can be made").because(&error)
    })
}

/// Runs a future to its end on a runtime of this thread: nothing else here waits. Ctrl-C drops the
/// future, and with it its sockets and programs; what comes after it is not torn, since Ctrl-C has
/// been taken over by then.
///
/// # Errors
/// [`Class::Internal`] if the system gives no runtime, [`Class::Interrupted`] on Ctrl-C.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Class::Internal, "runtime", "no runtime could be started").because(&error)
    })?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = interrupted() => {
                Err(Failure::new(Class::Interrupted, "interrupted", "interrupted"))
            }
        }
    });
    // Not for a name that is still being looked up.
    runtime.shutdown_background();
    outcome
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Then the system ends us, as it does by itself.
        std::future::pending::<()>().await;
    }
}
