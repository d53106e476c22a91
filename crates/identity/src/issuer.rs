//! What is configured about an issuer: who it is, whom its tokens are for, and what identity they
//! give (authority.md §1.6, §1.8).

use std::time::Duration;

use url::{Origin, Url};
use waxseal_transport::is_loopback;

use crate::{CiProvider, JwkSet, JwsAlgorithm};

/// Longest life of a token that is accepted, from `iat` to `exp` (authority.md §1.9).
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Most leeway that may be configured for `exp`.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// One trusted issuer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IssuerConfig {
    /// Its identifier, compared byte for byte with `iss` (OpenID Connect Core §3.1.3.7).
    pub issuer: String,
    /// Other spellings of `iss` that it uses: Google writes `accounts.google.com` too.
    pub aliases: Vec<String>,
    /// Accepted audiences: `sigstore`, and the instance's own.
    pub audiences: Vec<String>,
    /// What identity its tokens give.
    pub kind: IssuerKind,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Accepted algorithms; `None` takes those that discovery announces, or RS256.
    pub algorithms: Option<Vec<JwsAlgorithm>>,
    /// The claim whose value stands for the issuer in certificates (only with
    /// [`IssuerKind::Email`]); `None` takes `iss`.
    pub issuer_claim: Option<ClaimPath>,
    /// Accepts addresses without `email_verified`: for issuers that verify and do not say so.
    pub skip_email_verification: bool,
    /// How long after `exp` a token still counts; zero unless clocks are known to differ.
    pub leeway: Duration,
}

/// What identity an issuer's tokens give.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum IssuerKind {
    /// The verified claim `email`, as an e-mail name.
    Email,
    /// The claim `sub`, a URL whose scheme and host are those of the subject domain.
    Uri {
        /// Such as `https://sub.example.com`.
        subject_domain: Url,
    },
    /// A name and extensions made of many claims: a CI job.
    Ci(CiProvider),
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KeySource {
    /// OpenID Connect Discovery; keys at the issuer's own origin, or at one of `key_origins`
    /// (S-31).
    Discovery {
        /// Origins, such as `https://www.googleapis.com`, that may serve the keys too.
        key_origins: Vec<Url>,
    },
    /// A set given beforehand: the embedded broker's, or a file where there is no network.
    Static(JwkSet),
}

/// The path of a claim in nested objects, written as `$.federated_claims.connector_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// Parses `$.name.name`; names have letters, digits, `_` and `-`.
    ///
    /// # Errors
    /// [`IssuerConfigError::BadClaimPath`].
    pub fn parse(text: &str) -> Result<Self, IssuerConfigError> {
        let name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
        };
        let names = text.strip_prefix("$.").map(|rest| rest.split('.'));
        match names {
            Some(names) if names.clone().all(name) => Ok(Self(names.map(str::to_owned).collect())),
            _ => Err(IssuerConfigError::BadClaimPath),
        }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }
}

/// Why an issuer's configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerConfigError {
    /// Not `https` (or `http` to loopback), or with user, query or fragment
    /// (OpenID Connect Discovery §3).
    #[error("issuer {issuer:?} is not an https URL without user, query and fragment")]
    BadIssuer {
        /// As configured.
        issuer: String,
    },
    /// The issuer, or an alias, is configured twice.
    #[error("issuer {issuer:?} is configured twice")]
    DuplicateIssuer {
        /// The name.
        issuer: String,
    },
    /// No audience, or an empty one.
    #[error("issuer {issuer:?} has no audience")]
    NoAudience {
        /// As configured.
        issuer: String,
    },
    /// An empty list of algorithms accepts no token.
    #[error("issuer {issuer:?} has an empty list of algorithms")]
    NoAlgorithm {
        /// As configured.
        issuer: String,
    },
    /// `issuer_claim` or `skip_email_verification` without [`IssuerKind::Email`].
    #[error("issuer {issuer:?} has an option that only e-mail issuers may have")]
    EmailOptionOnOtherKind {
        /// As configured.
        issuer: String,
    },
    /// More leeway than [`MAX_LEEWAY`].
    #[error("issuer {issuer:?} has a leeway of more than {MAX_LEEWAY:?}")]
    LeewayTooLong {
        /// As configured.
        issuer: String,
    },
    /// Not `$.name.name`.
    #[error("the issuer claim is not of the form $.name.name")]
    BadClaimPath,
}

impl IssuerConfig {
    /// An issuer whose keys are found by discovery at its own origin.
    pub fn new(issuer: &str, audiences: &[&str], kind: IssuerKind) -> Self {
        Self {
            issuer: issuer.to_owned(),
            aliases: Vec::new(),
            audiences: audiences.iter().map(|text| (*text).to_owned()).collect(),
            kind,
            keys: KeySource::Discovery {
                key_origins: Vec::new(),
            },
            algorithms: None,
            issuer_claim: None,
            skip_email_verification: false,
            leeway: Duration::ZERO,
        }
    }

    /// Google accounts: two spellings of `iss`, and keys on another host.
    pub fn google(audiences: &[&str]) -> Self {
        let mut config = Self::new("https://accounts.google.com", audiences, IssuerKind::Email);
        config.aliases.push("accounts.google.com".to_owned());
        config.keys = KeySource::Discovery {
            key_origins: Url::parse("https://www.googleapis.com")
                .into_iter()
                .collect(),
        };
        config
    }

    /// GitHub Actions.
    pub fn github_actions(audiences: &[&str]) -> Self {
        Self::new(
            "https://token.actions.githubusercontent.com",
            audiences,
            IssuerKind::Ci(CiProvider::github_workflow("https://github.com")),
        )
    }

    /// GitLab pipelines of one server, `https://gitlab.com` for the public one.
    pub fn gitlab(url: &str, audiences: &[&str]) -> Self {
        Self::new(
            url,
            audiences,
            IssuerKind::Ci(CiProvider::gitlab_pipeline(url)),
        )
    }

    pub(crate) fn check(&self) -> Result<(), IssuerConfigError> {
        let issuer = || self.issuer.clone();
        let is_email = matches!(self.kind, IssuerKind::Email);
        if parse_issuer(&self.issuer).is_none() {
            return Err(IssuerConfigError::BadIssuer { issuer: issuer() });
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(IssuerConfigError::NoAudience { issuer: issuer() });
        }
        if self.algorithms.as_ref().is_some_and(Vec::is_empty) {
            return Err(IssuerConfigError::NoAlgorithm { issuer: issuer() });
        }
        if !is_email && (self.issuer_claim.is_some() || self.skip_email_verification) {
            return Err(IssuerConfigError::EmailOptionOnOtherKind { issuer: issuer() });
        }
        if self.leeway > MAX_LEEWAY {
            return Err(IssuerConfigError::LeewayTooLong { issuer: issuer() });
        }
        Ok(())
    }

    /// Whether keys may be fetched from this URL.
    pub(crate) fn may_serve_keys(&self, url: &Url) -> bool {
        let own = parse_issuer(&self.issuer).map(|url| url.origin());
        let others = match &self.keys {
            KeySource::Discovery { key_origins } => key_origins.as_slice(),
            KeySource::Static(_) => &[],
        };
        let origin = url.origin();
        let is = |other: &Origin| *other == origin && origin.is_tuple();
        own.as_ref().is_some_and(is) || others.iter().any(|url| is(&url.origin()))
    }
}

/// An issuer's identifier as a URL, if it may be one.
pub(crate) fn parse_issuer(issuer: &str) -> Option<Url> {
    let url = Url::parse(issuer).ok()?;
    let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    // What the parser had to change (case, `%2e`, tabs, a default port) two readers may see
    // differently, so it is not the name of an issuer.
    let unchanged = url.as_str() == issuer || url.as_str().strip_suffix('/') == Some(issuer);
    (secure && plain && unchanged).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut IssuerConfig), expected: &Result<(), IssuerConfigError>) {
        let mut config = IssuerConfig::new("https://a.example", &["sigstore"], IssuerKind::Email);
        change(&mut config);
        assert_eq!(&config.check(), expected);
    }

    #[test]
    fn bad_issuer() {
        for issuer in [
            "",
            "a.example",
            "ftp://a.example",
            "http://a.example",
            "https://u@a.example",
            "https://a.example?x",
            "https://a.example#x",
            "https://A.example",
            "https://a.example:443",
            "https://a.example/%2e/",
            "https://a.example/\n",
            "https://a.example\\b",
        ] {
            let error = IssuerConfigError::BadIssuer {
                issuer: issuer.to_owned(),
            };
            check(|config| config.issuer = issuer.to_owned(), &Err(error));
        }
        for issuer in [
            "https://a.example",
            "https://a.example/",
            "http://localhost:8383/auth",
            "http://127.0.0.1:1",
            "http://[::1]:1/x",
        ] {
            check(|config| config.issuer = issuer.to_owned(), &Ok(()));
        }
    }

    #[test]
    fn options_are_checked() {
        let issuer = || "https://a.example".to_owned();
        check(
            |c| c.audiences.clear(),
            &Err(IssuerConfigError::NoAudience { issuer: issuer() }),
        );
        check(
            |c| c.audiences = vec![String::new()],
            &Err(IssuerConfigError::NoAudience { issuer: issuer() }),
        );
        check(
            |c| c.algorithms = Some(vec![]),
            &Err(IssuerConfigError::NoAlgorithm { issuer: issuer() }),
        );
        check(
            |c| c.leeway = Duration::from_secs(61),
            &Err(IssuerConfigError::LeewayTooLong { issuer: issuer() }),
        );
        check(|c| c.leeway = Duration::from_secs(60), &Ok(()));
        let uri = || IssuerKind::Uri {
            subject_domain: Url::parse("https://a.example").unwrap(),
        };
        let error = IssuerConfigError::EmailOptionOnOtherKind { issuer: issuer() };
        check(
            |c| (c.kind, c.skip_email_verification) = (uri(), true),
            &Err(error.clone()),
        );
        check(
            |c| (c.kind, c.issuer_claim) = (uri(), ClaimPath::parse("$.a").ok()),
            &Err(error),
        );
    }

    #[test]
    fn bad_claim_path() {
        for text in ["", "$", "$.", "a.b", "$.a..b", "$.a[0]", "$..a", "$.a.*"] {
            assert_eq!(
                ClaimPath::parse(text),
                Err(IssuerConfigError::BadClaimPath),
                "{text}"
            );
        }
        let path = ClaimPath::parse("$.federated_claims.connector_id").unwrap();
        assert_eq!(path.names(), ["federated_claims", "connector_id"]);
    }

    #[test]
    fn s_31_keys_come_from_named_origins_only() {
        let google = IssuerConfig::google(&["sigstore"]);
        let check = |url: &str, expected| {
            assert_eq!(
                google.may_serve_keys(&Url::parse(url).unwrap()),
                expected,
                "{url}"
            );
        };
        check("https://accounts.google.com/keys", true);
        check("https://accounts.google.com:443/keys", true);
        check("https://www.googleapis.com/oauth2/v3/certs", true);
        check("https://accounts.google.com:8443/keys", false);
        check("http://accounts.google.com/keys", false);
        check("https://accounts.google.com.evil.example/keys", false);
        check("https://accounts.google.com@evil.example/keys", false);
        check("https://169.254.169.254/keys", false);
        check("data:,x", false);
    }
}
