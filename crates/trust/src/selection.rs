//! Signing config + time → the services to use.

use std::cmp::Reverse;
use std::fmt;

use waxseal_crypto::Time;
use waxseal_formats::{Service, ServiceSelector, SigningConfig, TimeRange, Timestamp};

/// Why no selection satisfies the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No service of a kind is valid now and speaks a version that is understood
    /// (`SigningConfig`, on each list).
    #[error(
        "the signing config names no {kind} that is valid now and speaks a supported version \
         ({offered} named)"
    )]
    NoneUsable {
        /// The kind.
        kind: ServiceKind,
        /// How many the config names.
        offered: usize,
    },
    /// `EXACT` asks for more operators than have a usable service (`ServiceSelector.EXACT`).
    #[error("the signing config wants {wanted} {kind} operators, but only {found} are usable now")]
    NotEnoughOperators {
        /// The kind.
        kind: ServiceKind,
        /// How many the config wants.
        wanted: u32,
        /// How many there are.
        found: usize,
    },
    /// Services are named, but not how many of them to use (`SigningConfig.rekor_tlog_config`,
    /// `tsa_config`).
    #[error("the signing config does not say how many {kind} services to use")]
    SelectorMissing {
        /// The kind.
        kind: ServiceKind,
    },
    /// A log of version 2 dates nothing: without a timestamp authority nobody could tell
    /// whether the certificate was valid when it signed (Rekor v2 specification, "Timestamps").
    #[error("a transparency log of version 2 needs a timestamp authority, and none is configured")]
    TimestampAuthorityNeeded,
}

/// A kind of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceKind {
    /// Issues certificates (`caUrls`).
    CertificateAuthority,
    /// Issues identity tokens (`oidcUrls`).
    IdentityProvider,
    /// Logs signatures (`rekorTlogUrls`).
    TransparencyLog,
    /// Dates signatures (`tsaUrls`).
    TimestampAuthority,
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateAuthority => "certificate authority",
            Self::IdentityProvider => "identity provider",
            Self::TransparencyLog => "transparency log",
            Self::TimestampAuthority => "timestamp authority",
        })
    }
}

/// The major API versions that the caller speaks, for each kind of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions<'a> {
    /// Of certificate authorities.
    pub certificate_authority: &'a [u32],
    /// Of identity providers.
    pub identity_provider: &'a [u32],
    /// Of transparency logs.
    pub transparency_log: &'a [u32],
    /// Of timestamp authorities.
    pub timestamp_authority: &'a [u32],
}

impl Versions<'static> {
    /// What this workspace speaks.
    pub const CURRENT: Self = Self {
        certificate_authority: &[1],
        identity_provider: &[1],
        transparency_log: &[2],
        timestamp_authority: &[1],
    };
}

/// The version of logs from which on they give no time of their own.
const FIRST_LOG_WITHOUT_TIME: u32 = 2;

/// The services of a signing config, at one time.
#[derive(Debug, Clone, Copy)]
pub struct Services<'a> {
    config: &'a SigningConfig,
    versions: Versions<'a>,
    now: Timestamp,
}

/// Who gives evidence of when and that something was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// The logs to write to, each of another operator, the highest version first; empty if the
    /// config names none.
    pub logs: Vec<&'a Service>,
    /// The authorities to ask for a timestamp, each of another operator; empty if the config
    /// names none.
    pub timestamp_authorities: Vec<&'a Service>,
}

impl<'a> Services<'a> {
    /// The services that `config` names, for a caller that speaks `versions`, at `now`.
    pub fn new(config: &'a SigningConfig, versions: Versions<'a>, now: Time) -> Self {
        let now = Timestamp {
            seconds: now.unix_seconds(),
            nanos: now.subsec_nanos(),
        };
        Self {
            config,
            versions,
            now,
        }
    }

    /// The one certificate authority to use.
    ///
    /// # Errors
    /// [`SelectError::NoneUsable`].
    pub fn certificate_authority(&self) -> Result<&'a Service, SelectError> {
        self.one(ServiceKind::CertificateAuthority)
    }

    /// The one identity provider to use.
    ///
    /// # Errors
    /// [`SelectError::NoneUsable`].
    pub fn identity_provider(&self) -> Result<&'a Service, SelectError> {
        self.one(ServiceKind::IdentityProvider)
    }

    /// The logs and timestamp authorities to use. Where the config leaves a choice (`ANY`,
    /// `EXACT`), the first of the best are taken: the same each time.
    ///
    /// # Errors
    /// [`SelectError`]: what the config asks for and its services cannot give.
    pub fn evidence(&self) -> Result<Evidence<'a>, SelectError> {
        let logs = self.several(ServiceKind::TransparencyLog, self.config.log_config)?;
        let timestamp_authorities =
            self.several(ServiceKind::TimestampAuthority, self.config.tsa_config)?;
        let timeless = |log: &&Service| log.major_api_version >= FIRST_LOG_WITHOUT_TIME;
        if timestamp_authorities.is_empty() && logs.iter().any(timeless) {
            return Err(SelectError::TimestampAuthorityNeeded);
        }
        Ok(Evidence {
            logs,
            timestamp_authorities,
        })
    }

    fn one(&self, kind: ServiceKind) -> Result<&'a Service, SelectError> {
        let offered = self.offered(kind).0.len();
        self.best_of_operators(kind)
            .first()
            .copied()
            .ok_or(SelectError::NoneUsable { kind, offered })
    }

    fn several(
        &self,
        kind: ServiceKind,
        selector: Option<ServiceSelector>,
    ) -> Result<Vec<&'a Service>, SelectError> {
        let offered = self.offered(kind).0.len();
        if offered == 0 && selector.is_none() {
            return Ok(Vec::new());
        }
        let selector = selector.ok_or(SelectError::SelectorMissing { kind })?;
        let mut best = self.best_of_operators(kind);
        let found = best.len();
        let wanted = match selector {
            ServiceSelector::Exact(wanted) => match usize::try_from(wanted) {
                Ok(count) if count <= found => count,
                _ => {
                    return Err(SelectError::NotEnoughOperators {
                        kind,
                        wanted,
                        found,
                    });
                }
            },
            ServiceSelector::Any => 1,
            // `ServiceSelector` may grow; to use all is never fewer than asked for.
            _ => found,
        };
        if best.is_empty() {
            return Err(SelectError::NoneUsable { kind, offered });
        }
        best.truncate(wanted);
        Ok(best)
    }

    fn offered(&self, kind: ServiceKind) -> (&'a [Service], &'a [u32]) {
        let (config, versions) = (self.config, self.versions);
        match kind {
            ServiceKind::CertificateAuthority => (&config.ca_urls, versions.certificate_authority),
            ServiceKind::IdentityProvider => (&config.oidc_urls, versions.identity_provider),
            ServiceKind::TransparencyLog => (&config.log_urls, versions.transparency_log),
            ServiceKind::TimestampAuthority => (&config.tsa_urls, versions.timestamp_authority),
        }
    }

    /// The best usable service of each operator, the best of all first. Services that name no
    /// operator count as one operator's together: else one party could pose as many.
    fn best_of_operators(&self, kind: ServiceKind) -> Vec<&'a Service> {
        let (services, versions) = self.offered(kind);
        let mut usable: Vec<&Service> = services
            .iter()
            .filter(|service| versions.contains(&service.major_api_version))
            .filter(|service| {
                service
                    .valid_for
                    .is_some_and(|range| range.contains(self.now))
            })
            .collect();
        // Stable: among equals, the order of the config, which is newest first, decides.
        usable.sort_by_key(|service| {
            let start = service.valid_for.and_then(|TimeRange { start, .. }| start);
            Reverse((service.major_api_version, start))
        });
        let mut best: Vec<&Service> = Vec::new();
        for service in usable {
            if best.iter().all(|other| other.operator != service.operator) {
                best.push(service);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests;
