//! The witnesses of the transparency log: from the configuration to whoever asks them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use waxseal_log_server::{
    BundleKind, CosignMode, Cosigners, WITNESS_TIMEOUT, WitnessConfig, WitnessContext,
    WitnessError, Witnesses,
};
use waxseal_serve::Meter;
use waxseal_tlog::{NoteSigner, Origin, PolicyParseError, WitnessPolicy};

use crate::World;

/// The longest time that a witness may be given: a write waits for it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(8);

/// The transparency log's own section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TransparencyLog {
    /// A witness policy (C2SP tlog-policy), every witness with its URL. Without it nobody is asked.
    pub witness_policy: Option<PathBuf>,
    /// What becomes of a checkpoint without a quorum.
    #[serde(default)]
    pub witness_mode: WitnessMode,
    /// The time that a witness has for its answer, in milliseconds, at most 8,000; 2,000 if absent.
    pub witness_timeout_ms: Option<u64>,
    /// Whether checkpoints carry a second line by the log, of an ML-DSA-44 key of its own.
    #[serde(default)]
    pub ml_dsa_44: bool,
    /// Whether `dsseRequestV002` is refused, as rekor-tiles does since 2.3. Older clients
    /// (sigstore-js, sigstore-rust) send it.
    #[serde(default)]
    pub refuse_dsse: bool,
}

/// What becomes of a checkpoint without a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WitnessMode {
    /// It is not published, and no write is answered.
    FailClosed,
    /// It is published with the cosignatures that there are.
    #[default]
    FailOpen,
    /// It is published at once, and cosigned later.
    TopUp,
}

/// Why a log has no witnesses, though it is to have some.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogWitnessError {
    /// The policy cannot be read.
    #[error("the witness policy {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The policy is not one.
    #[error("the witness policy {} is not one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PolicyParseError,
    },
    /// The log cannot have such witnesses.
    #[error("the witness policy {} cannot be used", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: WitnessError,
    },
    /// Nobody waits that long, or no witness answers that fast.
    #[error("witness_timeout_ms is between 1 and 8000, found {millis}")]
    Timeout {
        /// As configured.
        millis: u64,
    },
}

impl TransparencyLog {
    /// Who asks the witnesses for cosignatures, if any are configured.
    ///
    /// # Errors
    /// [`LogWitnessError`].
    pub(crate) fn cosigners(
        &self,
        origin: &Origin,
        signers: &[NoteSigner],
        world: &World,
        meter: &Meter,
    ) -> Result<Option<Arc<dyn Cosigners>>, LogWitnessError> {
        let Some(path) = &self.witness_policy else {
            return Ok(None);
        };
        let file = std::fs::read(path).map_err(|source| LogWitnessError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let policy = WitnessPolicy::parse(world.provider, &file).map_err(|source| {
            LogWitnessError::Malformed {
                path: path.clone(),
                source,
            }
        })?;
        let mut config = WitnessConfig::new(policy);
        config.mode = match self.witness_mode {
            WitnessMode::FailClosed => CosignMode::FailClosed,
            WitnessMode::FailOpen => CosignMode::FailOpen,
            WitnessMode::TopUp => CosignMode::TopUp,
        };
        config.timeout = self.timeout()?;
        let context = WitnessContext {
            provider: world.provider,
            origin,
            signers,
            bundles: BundleKind::Entries,
            transport: Arc::clone(&world.transport),
            clock: Arc::clone(&world.clock),
            meter: meter.clone(),
        };
        let witnesses =
            Witnesses::new(config, context).map_err(|source| LogWitnessError::Refused {
                path: path.clone(),
                source,
            })?;
        Ok(Some(Arc::new(witnesses)))
    }

    fn timeout(&self) -> Result<Duration, LogWitnessError> {
        let Some(millis) = self.witness_timeout_ms else {
            return Ok(WITNESS_TIMEOUT);
        };
        let timeout = Duration::from_millis(millis);
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            return Err(LogWitnessError::Timeout { millis });
        }
        Ok(timeout)
    }
}
