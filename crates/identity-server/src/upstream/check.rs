//! Tries a configuration against the real provider, and says what is wrong.
//!
//! Nobody logs in. A provider tells a registered redirect URI from another one when it is asked to
//! log somebody in without showing a page (`prompt=none`, OpenID Connect Core §3.1.2.6): the
//! refusal comes back to the redirect URI, or stays on a page of its own. It tells a right secret
//! from a wrong one when it is given a code that it never issued (RFC 6749 §5.2): `invalid_grant`
//! or `invalid_client`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;
use url::{Url, form_urlencoded};
use waxseal_crypto::{CryptoProvider, Random, Time};
use waxseal_identity::{DiscoveryError, Environment, parse_json};
use waxseal_transport::{Request, Response, Transport};

use super::exchange::{MAX_ANSWER, error_code};
use super::{Endpoints, Upstream, UpstreamError, Visit, endpoints, repeatable};
use crate::code::CodeKey;
use crate::connector::{ConnectorConfig, ConnectorKind};
use crate::secret::Secret;

/// Longest page that is searched for a provider's complaint.
const MAX_PAGE: usize = 1024 * 1024;

/// What was found about one connector.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ConnectorCheck {
    /// Its name.
    pub connector: String,
    /// How certificates name it.
    pub connector_id: String,
    /// The redirect URI to register at the provider.
    pub redirect_uri: String,
    /// In the order of a log-in.
    pub findings: Vec<Finding>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was tried.
    pub subject: CheckSubject,
    /// How it went.
    pub result: CheckResult,
    /// What was found, and what to do.
    pub text: String,
}

/// What of a configuration is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckSubject {
    /// The secret can be read.
    Configuration,
    /// The discovery document is there, and of the right issuer.
    Discovery,
    /// The keys of ID tokens are there.
    Keys,
    /// The provider knows the client.
    ClientId,
    /// The redirect URI is registered.
    RedirectUri,
    /// The client secret is right.
    ClientSecret,
    /// What we ask for may be asked for.
    Scope,
}

/// How a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckResult {
    /// As it should.
    Passed,
    /// The provider does not tell without a log-in.
    Unclear,
    /// Log-ins will fail.
    Failed,
}

impl ConnectorCheck {
    /// Whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        let failed = |finding: &Finding| finding.result == CheckResult::Failed;
        !self.findings.iter().any(failed)
    }

    fn note(&mut self, subject: CheckSubject, result: CheckResult, text: impl Into<String>) {
        let known = self.findings.iter().any(|f| f.subject == subject);
        if !known || result == CheckResult::Failed {
            self.findings.retain(|finding| finding.subject != subject);
            self.findings.push(Finding {
                subject,
                result,
                text: text.into(),
            });
        }
    }
}

/// Tries one connector of the broker with this issuer.
pub async fn check_connector(
    config: &ConnectorConfig,
    issuer: &str,
    environment: &dyn Environment,
    transport: Arc<dyn Transport>,
    provider: CryptoProvider,
    random: &dyn Random,
    now: Time,
) -> ConnectorCheck {
    let mut check = ConnectorCheck {
        connector: config.name().to_owned(),
        connector_id: config.connector_id(),
        redirect_uri: config.redirect_uri(issuer),
        findings: Vec::new(),
    };
    let world = Arc::clone(&transport);
    let upstream = match Upstream::new(config.clone(), issuer, environment, world, provider) {
        Ok(upstream) => upstream,
        Err(error) => {
            let failed = CheckResult::Failed;
            check.note(CheckSubject::Configuration, failed, error.to_string());
            return check;
        }
    };
    // Both are for this trial alone, and nobody has them: a code that no provider has issued, and
    // a state that no browser has.
    let secrets = [Secret::generate(random), Secret::generate(random)];
    let [Ok(state), Ok(code)] = secrets else {
        let text = "no randomness";
        check.note(CheckSubject::Configuration, CheckResult::Failed, text);
        return check;
    };
    let visit = Visit::new(&CodeKey::new([0; 32]), state.expose());
    if let Some(endpoints) = upstream.find_endpoints(&mut check, now).await {
        upstream
            .try_authorization(&mut check, &endpoints, &visit)
            .await;
        upstream
            .try_secret(&mut check, &endpoints, &visit, code.expose())
            .await;
    }
    check
}

impl Upstream {
    async fn find_endpoints(&self, check: &mut ConnectorCheck, now: Time) -> Option<Endpoints> {
        use CheckResult::{Failed, Passed};
        let endpoints = match endpoints::discover(&self.config, &*self.transport).await {
            Ok(endpoints) => endpoints,
            Err(error) => {
                check.note(CheckSubject::Discovery, Failed, discovery_advice(&error));
                return None;
            }
        };
        if let Some(verifier) = &self.verifier {
            check.note(
                CheckSubject::Discovery,
                Passed,
                "the discovery document is there",
            );
            match verifier.refresh(now).await.first() {
                None => check.note(CheckSubject::Keys, Passed, "its keys are there"),
                Some((_, error)) => {
                    let text = format!(
                        "{error}. If it publishes its keys on another host on purpose, name that \
                         host in key_origins"
                    );
                    check.note(CheckSubject::Keys, Failed, text);
                }
            }
        }
        let missing: Vec<_> = self
            .scope()
            .split(' ')
            .filter(|scope| !scope.is_empty() && !endpoints.scopes.is_empty())
            .filter(|scope| !endpoints.scopes.iter().any(|known| known == scope))
            .map(str::to_owned)
            .collect();
        if !missing.is_empty() {
            let text = format!(
                "the provider does not offer the scope {}; without it no address comes back",
                missing.join(" ")
            );
            check.note(CheckSubject::Scope, Failed, text);
        }
        Some(endpoints)
    }

    async fn try_authorization(
        &self,
        check: &mut ConnectorCheck,
        endpoints: &Endpoints,
        visit: &Visit,
    ) {
        use CheckResult::{Failed, Unclear};
        let mut url = self.authorization_url(endpoints, visit, None);
        if endpoints.is_openid() {
            let others = url.query_pairs().filter(|(name, _)| name != "prompt");
            let others: Vec<_> = others
                .map(|(a, b)| (a.into_owned(), b.into_owned()))
                .collect();
            url.query_pairs_mut()
                .clear()
                .extend_pairs(others)
                .append_pair("prompt", "none");
        }
        let request = Request::get(url)
            .with_header("Accept", "text/html")
            .with_max_response(MAX_PAGE)
            .returning_redirects();
        let answer = match self.transport.send(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let text = format!("the log-in page does not answer: {error}");
                check.note(CheckSubject::RedirectUri, Failed, text);
                return;
            }
        };
        let location = answer.headers.only("Location").unwrap_or_default();
        match returned(location, &self.redirect_uri) {
            Some(error) => note_returned(check, error.as_deref()),
            None => {
                let words = words_of(&answer, location);
                if let Some(mark) = mark(&words, &REDIRECT_MARKS) {
                    let text = format!(
                        "the provider says {mark}: register exactly {} as redirect URI",
                        self.redirect_uri
                    );
                    check.note(CheckSubject::RedirectUri, Failed, text);
                } else if let Some(mark) = mark(&words, &CLIENT_MARKS) {
                    let text =
                        format!("the provider says {mark}: client_id is not one that it knows");
                    check.note(CheckSubject::ClientId, Failed, text);
                } else if answer.status == 404 && self.config.kind == ConnectorKind::Github {
                    let text = "GitHub knows no app with this client_id";
                    check.note(CheckSubject::ClientId, Failed, text);
                } else {
                    let text = format!(
                        "the provider tells only who is logged in; make sure that {} is registered",
                        self.redirect_uri
                    );
                    check.note(CheckSubject::RedirectUri, Unclear, text);
                }
            }
        }
    }

    async fn try_secret(
        &self,
        check: &mut ConnectorCheck,
        endpoints: &Endpoints,
        visit: &Visit,
        code: &str,
    ) {
        use CheckResult::{Failed, Passed, Unclear};
        let request = self
            .own_token_request(endpoints)
            .unwrap_or_else(|| self.token_request(endpoints, visit, code));
        let answer = match self.transport.send(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let text = format!("the token endpoint does not answer: {error}");
                check.note(CheckSubject::ClientSecret, Failed, text);
                return;
            }
        };
        let object = match parse_json(&answer.body, MAX_ANSWER) {
            Ok(Value::Object(object)) => object,
            _ => {
                let text = format!("the token endpoint answers {} without JSON", answer.status);
                check.note(CheckSubject::ClientSecret, Unclear, text);
                return;
            }
        };
        let expired = object
            .get("error_codes")
            .and_then(Value::as_array)
            .is_some_and(|codes| codes.contains(&Value::from(7_000_222)));
        let subject = CheckSubject::ClientSecret;
        match error_code(&object).as_deref() {
            _ if expired => check.note(
                subject,
                Failed,
                "the client secret has expired: make a new one",
            ),
            None if answer.status == 200 => {
                check.note(subject, Passed, "the client secret is right")
            }
            Some("invalid_grant" | "bad_verification_code" | "100") => {
                check.note(subject, Passed, "the client secret is right");
            }
            Some(
                code @ ("invalid_client"
                | "unauthorized_client"
                | "incorrect_client_credentials"
                | "1"
                | "101"),
            ) => {
                let text =
                    format!("the provider says {code}: client_id or the client secret is wrong");
                check.note(subject, Failed, text);
            }
            Some("redirect_uri_mismatch") => {
                let text = format!("register exactly {} as redirect URI", self.redirect_uri);
                check.note(CheckSubject::RedirectUri, Failed, text);
            }
            other => {
                let text = format!(
                    "the provider says {}, which does not tell whether the secret is right",
                    other.unwrap_or("nothing")
                );
                check.note(subject, Unclear, text);
            }
        }
    }

    /// A request for a token of our own (RFC 6749 §4.4), where it is documented and the provider
    /// judges a code before it judges the secret. Nobody's account is touched; the token is
    /// dropped.
    fn own_token_request(&self, endpoints: &Endpoints) -> Option<Request> {
        let scope = match (self.config.kind, &self.config.tenant) {
            (ConnectorKind::Facebook, _) => None,
            (ConnectorKind::Microsoft, Some(_)) => {
                Some(format!("{}/.default", self.config.client_id))
            }
            _ => return None,
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("client_secret", self.secret.as_deref()?);
        if let Some(scope) = scope {
            form.append_pair("scope", &scope);
        }
        let body = form.finish().into_bytes();
        let content_type = "application/x-www-form-urlencoded";
        Some(
            Request::post(endpoints.token.clone(), content_type, body)
                .with_header("Accept", "application/json")
                .with_max_response(MAX_ANSWER),
        )
    }
}

/// What providers write where a redirect URI is not registered.
const REDIRECT_MARKS: [&str; 6] = [
    "redirect_uri_mismatch",
    "AADSTS50011",
    "invalid_redirect_uri",
    "did not match any of the client's registered redirect_uris",
    "URL Blocked",
    "redirect_uri",
];

/// What they write where the client is not known.
const CLIENT_MARKS: [&str; 6] = [
    "AADSTS700016",
    "invalid_client",
    "deleted_client",
    "unauthorized_client",
    "Invalid App ID",
    "client_id",
];

fn mark(words: &str, marks: &[&'static str]) -> Option<&'static str> {
    marks.iter().find(|mark| words.contains(**mark)).copied()
}

/// `None` if the browser does not come back to us, else the error that it brings.
fn returned(location: &str, redirect_uri: &str) -> Option<Option<String>> {
    let url = Url::parse(location).ok()?;
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    (bare.as_str() == redirect_uri).then(|| {
        let error = url.query_pairs().find(|(name, _)| name == "error");
        error.map(|(_, code)| repeatable(&code))
    })
}

fn note_returned(check: &mut ConnectorCheck, error: Option<&str>) {
    use CheckResult::{Failed, Passed, Unclear};
    check.note(
        CheckSubject::RedirectUri,
        Passed,
        "the redirect URI is registered",
    );
    match error {
        Some("invalid_scope") => {
            let text = "the app's registration does not have the scopes that we ask for";
            check.note(CheckSubject::Scope, Failed, text);
        }
        Some("unauthorized_client" | "invalid_client") => {
            let text = "the app's registration does not allow the authorization code flow";
            check.note(CheckSubject::ClientId, Failed, text);
        }
        Some(
            "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required"
            | "immediate_failed",
        )
        | None => check.note(
            CheckSubject::ClientId,
            Passed,
            "the provider knows client_id",
        ),
        Some(other) => {
            let text = format!("the provider says {other} to a log-in without a page");
            check.note(CheckSubject::ClientId, Unclear, text);
        }
    }
}

/// Where a provider may say what is wrong: on its page, or in the URL of one, where Google hides
/// it in base64. Our own parameters, which a page may link with, are no complaint.
fn words_of(answer: &Response, location: &str) -> String {
    let mut words = String::new();
    if answer.status >= 400 || answer.status == 200 {
        let page = String::from_utf8_lossy(&answer.body);
        if answer.status >= 400 {
            words.push_str(&page);
        } else {
            // A page that is shown with 200 may be the log-in page, which carries our parameters.
            let complaint = |mark: &&&str| !mark.ends_with("_uri") && !mark.ends_with("_id");
            let marks = REDIRECT_MARKS.iter().chain(&CLIENT_MARKS);
            words.extend(
                marks
                    .filter(complaint)
                    .filter(|mark| page.contains(**mark))
                    .copied(),
            );
        }
    }
    if let Ok(url) = Url::parse(location) {
        for (name, value) in url.query_pairs() {
            let decoded = URL_SAFE_NO_PAD
                .decode(value.trim_end_matches('='))
                .or_else(|_| STANDARD.decode(value.as_bytes()));
            match (name.as_ref(), decoded) {
                ("authError", Ok(bytes)) => words.push_str(&String::from_utf8_lossy(&bytes)),
                ("error" | "error_description", _) => words.push_str(&value),
                _ => {}
            }
        }
    }
    words
}

fn discovery_advice(error: &UpstreamError) -> String {
    match error {
        UpstreamError::Discovery(DiscoveryError::IssuerMismatch) => {
            "the discovery document is of another issuer: write issuer exactly as its \"issuer\" \
             member has it, closing slash included"
                .to_owned()
        }
        UpstreamError::Discovery(DiscoveryError::Transport(cause)) => format!(
            "the discovery document cannot be fetched ({cause}): is the issuer right, and may this \
             machine reach it?"
        ),
        error => error.to_string(),
    }
}
