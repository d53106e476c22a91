//! OpenID Connect Discovery 1.0, read for two purposes: an issuer's keys, and where to log in.

use serde_json::{Map, Value};
use url::Url;
use waxseal_transport::{Request, Transport, TransportError, is_loopback};

use crate::JwsAlgorithm;
use crate::issuer::parse_issuer;
use crate::json::{JsonError, parse_object};

/// Longest discovery document in bytes; real ones have two to six kilobytes.
pub const MAX_DISCOVERY: usize = 64 * 1024;

/// An issuer's discovery document: the members that we use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovery {
    /// The issuer, equal to the one that was asked for.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: Option<Url>,
    /// Where to send the browser. This and the other endpoints are `https`, or `http` to loopback
    /// where the issuer is there too; others count as absent.
    pub authorization_endpoint: Option<Url>,
    /// Where a device code comes from (RFC 8628 §4).
    pub device_authorization_endpoint: Option<Url>,
    /// Where a code becomes a token.
    pub token_endpoint: Option<Url>,
    /// Where a token says whose it is (Core §5.3).
    pub userinfo_endpoint: Option<Url>,
    /// How clients may show their secret at the token endpoint; by `client_secret_basic` if it
    /// does not say.
    pub token_auth_methods: Vec<String>,
    /// What may be asked for; empty if it does not say.
    pub scopes: Vec<String>,
    /// The algorithms of its tokens that we speak, in its order; empty if it does not say.
    pub algorithms: Vec<JwsAlgorithm>,
    /// Whether it announces PKCE with S256 (RFC 8414 §2).
    pub pkce_s256: bool,
    /// Whether its redirects carry `iss` (RFC 9207 §3).
    pub response_iss: bool,
}

/// Why there is no discovery document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The identifier cannot be an issuer's.
    #[error("the issuer is not an https URL without user, query and fragment")]
    BadIssuer,
    /// It could not be fetched. Redirects are refused (S-31).
    #[error("the issuer's discovery document could not be fetched")]
    Transport(#[from] TransportError),
    /// Not strict JSON.
    #[error("the issuer's discovery document is {0}")]
    NotJson(#[from] JsonError),
    /// `issuer` is absent, or not the one asked for, byte for byte (§4.3).
    #[error("the discovery document is of another issuer")]
    IssuerMismatch,
    /// A member that is there has the wrong type, or is no URL.
    #[error("the discovery document's {member:?} is malformed")]
    Malformed {
        /// The member.
        member: &'static str,
    },
}

impl Discovery {
    /// Fetches the document of an issuer.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn fetch(transport: &dyn Transport, issuer: &str) -> Result<Self, DiscoveryError> {
        let mut url = parse_issuer(issuer).ok_or(DiscoveryError::BadIssuer)?;
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/.well-known/openid-configuration"));
        let request = Request::get(url)
            .with_header("Accept", "application/json")
            .with_max_response(MAX_DISCOVERY);
        let response = transport.send(request).await?.expect_status(&[200])?;
        Self::parse(&response.body, issuer)
    }

    /// Parses a document that must be `issuer`'s.
    ///
    /// # Errors
    /// [`DiscoveryError`], any but `Transport` and `BadIssuer`.
    pub fn parse(text: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let document = parse_object(text, MAX_DISCOVERY)?;
        if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(DiscoveryError::IssuerMismatch);
        }
        let algorithms = strings(&document, "id_token_signing_alg_values_supported")?
            .into_iter()
            .filter_map(JwsAlgorithm::by_name)
            .collect();
        let owned = |member| {
            let found = strings(&document, member)?;
            Ok::<_, DiscoveryError>(found.into_iter().map(str::to_owned).collect())
        };
        let flag = "authorization_response_iss_parameter_supported";
        let endpoint = |member| {
            let found = url(&document, member)?;
            Ok::<_, DiscoveryError>(found.filter(|url| is_reachable(url, issuer)))
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            jwks_uri: url(&document, "jwks_uri")?,
            authorization_endpoint: endpoint("authorization_endpoint")?,
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            token_auth_methods: owned("token_endpoint_auth_methods_supported")?,
            scopes: owned("scopes_supported")?,
            algorithms,
            pkce_s256: strings(&document, "code_challenge_methods_supported")?.contains(&"S256"),
            response_iss: document.get(flag) == Some(&Value::Bool(true)),
        })
    }
}

/// Whether an endpoint is one that its issuer may send us to. Anything but the web would start a
/// program of the desktop's choice where a browser is asked for (`file:`, `smb:`); and an issuer
/// elsewhere has no endpoints on this machine, whose services trust whoever is on it.
fn is_reachable(url: &Url, issuer: &str) -> bool {
    let is_local = is_loopback(url);
    let secure = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    let plain = url.username().is_empty() && url.password().is_none();
    let near = || parse_issuer(issuer).is_some_and(|issuer| is_loopback(&issuer));
    secure && plain && (!is_local || near())
}

fn url(document: &Map<String, Value>, member: &'static str) -> Result<Option<Url>, DiscoveryError> {
    let malformed = || DiscoveryError::Malformed { member };
    match document.get(member) {
        None => Ok(None),
        Some(value) => {
            let text = value.as_str().ok_or_else(malformed)?;
            Url::parse(text).map(Some).map_err(|_| malformed())
        }
    }
}

fn strings<'a>(
    document: &'a Map<String, Value>,
    member: &'static str,
) -> Result<Vec<&'a str>, DiscoveryError> {
    let malformed = || DiscoveryError::Malformed { member };
    match document.get(member) {
        None => Ok(Vec::new()),
        Some(value) => value
            .as_array()
            .ok_or_else(malformed)?
            .iter()
            .map(|item| item.as_str().ok_or_else(malformed))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match Discovery::parse(text.as_bytes(), "https://a.example") {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert!(found.starts_with(expected), "{text}: {found}");
    }

    #[test]
    fn issuer_mismatch() {
        check(r#"{"issuer":"https://a.example"}"#, "ok");
        check(r#"{"issuer":"https://a.example/"}"#, "IssuerMismatch");
        check(r#"{"issuer":"https://A.example"}"#, "IssuerMismatch");
        check(r#"{"issuer":["https://a.example"]}"#, "IssuerMismatch");
        check("{}", "IssuerMismatch");
    }

    #[test]
    fn malformed() {
        check(
            r#"{"issuer":"https://a.example","jwks_uri":7}"#,
            "Malformed",
        );
        check(
            r#"{"issuer":"https://a.example","jwks_uri":"keys"}"#,
            "Malformed",
        );
        check(
            r#"{"issuer":"https://a.example","code_challenge_methods_supported":"S256"}"#,
            "Malformed",
        );
    }

    #[test]
    fn not_json() {
        check("[]", "NotJson");
        check(
            r#"{"issuer":"https://a.example","issuer":"https://a.example"}"#,
            "NotJson",
        );
    }

    fn check_endpoint(issuer: &str, endpoint: &str, expected: bool) {
        let names = [
            "authorization_endpoint",
            "device_authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
        ];
        let mut document = serde_json::json!({ "issuer": issuer });
        for name in names {
            document[name] = endpoint.into();
        }
        let document = Discovery::parse(document.to_string().as_bytes(), issuer).unwrap();
        for found in [
            document.authorization_endpoint,
            document.device_authorization_endpoint,
            document.token_endpoint,
            document.userinfo_endpoint,
        ] {
            assert_eq!(found.is_some(), expected, "{endpoint} of {issuer}");
        }
    }

    #[test]
    fn an_issuer_does_not_start_programs_of_the_desktop() {
        let check = |endpoint| check_endpoint("https://a.example", endpoint, false);
        check("file:///usr/share/applications/x.desktop");
        check("smb://evil.example/share/x");
        check("javascript:alert(1)");
        check("data:text/html,x");
        check("vscode://x");
        check("http://a.example/authorize");
        check("https://you@a.example/authorize");
        check_endpoint("https://a.example", "https://b.example/authorize", true);
    }

    #[test]
    fn s_31_an_issuer_elsewhere_has_no_endpoints_on_this_machine() {
        let check = |endpoint| check_endpoint("https://a.example", endpoint, false);
        check("http://127.0.0.1:2019/load");
        check("http://localhost:8080/token");
        check("https://[::1]/token");
        let local = "http://localhost:8383/auth";
        check_endpoint(local, "http://localhost:8383/auth/token", true);
        check_endpoint(local, "http://127.0.0.1:9/token", true);
        check_endpoint(local, "http://a.example/token", false);
    }

    #[test]
    fn what_a_relying_party_needs() {
        let text = r#"{"issuer":"https://a.example",
            "userinfo_endpoint":"https://a.example/me",
            "token_endpoint_auth_methods_supported":["client_secret_post"],
            "scopes_supported":["openid","email"]}"#;
        let document = Discovery::parse(text.as_bytes(), "https://a.example").unwrap();
        let userinfo = document.userinfo_endpoint.as_ref().map(Url::as_str);
        assert_eq!(userinfo, Some("https://a.example/me"));
        assert_eq!(document.token_auth_methods, ["client_secret_post"]);
        assert_eq!(document.scopes, ["openid", "email"]);
        check(
            r#"{"issuer":"https://a.example","scopes_supported":"openid"}"#,
            "Malformed",
        );
    }

    #[test]
    fn unknown_algorithms_are_dropped() {
        let text = r#"{"issuer":"https://a.example",
            "id_token_signing_alg_values_supported":["none","HS256","ES256","RS256"]}"#;
        let document = Discovery::parse(text.as_bytes(), "https://a.example").unwrap();
        assert_eq!(
            document.algorithms,
            [JwsAlgorithm::Es256, JwsAlgorithm::Rs256]
        );
    }
}
