//! The beginning of a log-in: the authorization request (OpenID Connect Core §3.1.2, RFC 7636).

use std::net::IpAddr;
use std::time::Duration;

use url::Url;
use waxseal_crypto::{Random, RandomError, Time};
use waxseal_identity::MAX_EMAIL;

use crate::client::{Redirect, is_code_challenge, is_known};
use crate::limits::{LOGINS_PER_SITE, site_name};
use crate::parameters::Parameters;
use crate::records::{Login, read, write};
use crate::secret::{Secret, same};
use crate::service::{LoginEvent, Refusal, Service};
use crate::{RecordKey, RecordKind, Slot, StoreError, transact};

/// How long a log-in may take, from the client's request to the code that it gets.
pub(crate) const LOGIN_LIFE: Duration = Duration::from_secs(15 * 60);

/// Longest `state` and `nonce` in bytes; they are kept and echoed.
const MAX_ECHOED: usize = 1024;

/// A log-in that has begun: its own secret, and the one that the browser keeps.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) request: Secret,
    pub(crate) cookie: Secret,
    /// Where the client wants the person to log in, if it says so.
    pub(crate) connector_id: Option<String>,
}

impl Begun {
    /// The two secrets of a log-in.
    pub(crate) fn generate(
        random: &dyn Random,
        connector_id: Option<&str>,
    ) -> Result<Self, RandomError> {
        Ok(Self {
            request: Secret::generate(random)?,
            cookie: Secret::generate(random)?,
            connector_id: connector_id.map(str::to_owned),
        })
    }
}

/// Why an authorization request fails.
#[derive(Debug)]
pub(crate) enum AuthorizeError {
    /// The client or its redirect is not to be believed, so the error stays on a page of ours
    /// (RFC 6749 §4.1.2.1): a broker that redirects first is an open redirector.
    Page(PageError),
    /// The client learns it (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
    Redirect(Answer),
    /// The client learns nothing: whoever floods us has none, or a broken one.
    Refused(Refusal),
}

/// What a person is told when the client's request itself is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageError {
    Parameters,
    UnknownClient,
    BadRedirect,
}

impl<E: Into<Refusal>> From<E> for AuthorizeError {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// An answer on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) redirect: Redirect,
    pub(crate) state: Option<String>,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Code(Secret),
    Error {
        code: &'static str,
        description: &'static str,
    },
}

impl Answer {
    /// The URL to send the browser to, `iss` included (RFC 9207 §2); `None` out of band.
    pub(crate) fn url(&self, issuer: &str) -> Option<Url> {
        let Redirect::Loopback(url) = &self.redirect else {
            return None;
        };
        let mut url = url.clone();
        {
            let mut pairs = url.query_pairs_mut();
            match &self.outcome {
                Outcome::Code(code) => pairs.append_pair("code", code.expose()),
                Outcome::Error { code, description } => pairs
                    .append_pair("error", code)
                    .append_pair("error_description", description),
            };
            pairs.extend_pairs(self.state.iter().map(|state| ("state", state)));
            pairs.append_pair("iss", issuer);
        }
        Some(url)
    }
}

/// The key of a log-in's record.
pub(crate) fn login_key(request: &str) -> RecordKey {
    RecordKey::new(RecordKind::Login, &[request.as_bytes()])
}

impl Service {
    /// Begins a log-in. Client and redirect are judged before anything else.
    pub(crate) async fn authorize(
        &self,
        query: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<Begun, AuthorizeError> {
        let page = |error| AuthorizeError::Page(error);
        let parameters = Parameters::parse(query).map_err(|_| page(PageError::Parameters))?;
        let client_id = parameters
            .value("client_id")
            .filter(|id| is_known(id))
            .ok_or(page(PageError::UnknownClient))?;
        let redirect_uri = parameters.value("redirect_uri").unwrap_or_default();
        let redirect = Redirect::parse(redirect_uri).ok_or(page(PageError::BadRedirect))?;
        let state = parameters.value("state");
        let echoed = state.filter(|state| state.len() <= MAX_ECHOED);
        self.check_request(&parameters)
            .map_err(|(code, description)| {
                AuthorizeError::Redirect(Answer {
                    redirect,
                    state: echoed.map(str::to_owned),
                    outcome: Outcome::Error { code, description },
                })
            })?;
        let connector_id = parameters.value("connector_id");
        let begun = Begun::generate(&*self.context.random, connector_id)?;
        let text = |name| parameters.value(name).map(str::to_owned);
        let expires = self.now().checked_add(LOGIN_LIFE).unwrap_or(self.now());
        let login = Login {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            state: echoed.map(str::to_owned),
            nonce: text("nonce"),
            code_challenge: text("code_challenge").unwrap_or_default(),
            login_hint: login_hint(&parameters),
            browser: begun.cookie.digest(),
            expires: expires.unix_seconds(),
            challenge: None,
            device: None,
            confirmed: true,
            arrived: None,
        };
        let keys = vec![login_key(begun.request.expose()), self.logins_key(peer)];
        let (now, limited) = (self.now(), !self.config.is_outbox());
        let written = transact(&*self.context.store, keys, now, move |slots| {
            take_login(slots.get_mut(1).filter(|_| limited), now)?;
            write(slots.first_mut(), &login, login.expires);
            Ok::<_, Refusal>(())
        });
        written.await??;
        self.audit(LoginEvent::Begun, "", peer);
        Ok(begun)
    }

    fn check_request(&self, parameters: &Parameters) -> Result<(), (&'static str, &'static str)> {
        let invalid = |description| Err(("invalid_request", description));
        if parameters.has("request") {
            return Err(("request_not_supported", "request objects are not supported"));
        }
        if parameters.has("request_uri") {
            return Err((
                "request_uri_not_supported",
                "request objects are not supported",
            ));
        }
        match parameters.value("response_type") {
            Some("code") => {}
            Some(_) => return Err(("unsupported_response_type", "response_type must be code")),
            None => return invalid("response_type is missing"),
        }
        if parameters
            .value("response_mode")
            .is_some_and(|mode| mode != "query")
        {
            return invalid("response_mode must be query");
        }
        let scope = parameters.value("scope").unwrap_or_default();
        if !scope.split(' ').any(|scope| scope == "openid") {
            return Err(("invalid_scope", "scope must have openid"));
        }
        if parameters.value("code_challenge_method") != Some("S256") {
            return invalid("code_challenge_method must be S256");
        }
        if !parameters
            .value("code_challenge")
            .is_some_and(is_code_challenge)
        {
            return invalid("code_challenge must be 43 characters of base64url");
        }
        let echoed = ["state", "nonce"].map(|name| parameters.value(name));
        if echoed.iter().flatten().any(|text| text.len() > MAX_ECHOED) {
            return invalid("state or nonce is too long");
        }
        let connector = parameters.value("connector_id");
        if connector.is_some_and(|id| !self.has_connector(id)) {
            return invalid("connector_id names no way to log in here");
        }
        if parameters
            .value("prompt")
            .is_some_and(|p| p.split(' ').any(|p| p == "none"))
        {
            return Err(("login_required", "every log-in here asks the person"));
        }
        Ok(())
    }

    /// The log-in of a request, for the browser that began it.
    pub(crate) async fn login(
        &self,
        request: &str,
        cookie: Option<&str>,
    ) -> Result<Login, Refusal> {
        own(self.find_login(request).await?, cookie, self.now())
    }

    /// The same for a log-in that its owner may not have agreed to yet.
    pub(crate) async fn login_to_confirm(
        &self,
        request: &str,
        cookie: Option<&str>,
    ) -> Result<Login, Refusal> {
        of_browser(self.find_login(request).await?, cookie, self.now())
    }

    /// The key of what counts the log-ins of a client's site.
    pub(crate) fn logins_key(&self, peer: Option<IpAddr>) -> RecordKey {
        LOGINS_PER_SITE.key(&site_name(peer))
    }

    async fn find_login(&self, request: &str) -> Result<Option<Login>, StoreError> {
        let keys = vec![login_key(request)];
        let found = transact(&*self.context.store, keys, self.now(), |slots| {
            read::<Login>(slots.first())
        });
        found.await
    }

    /// Ends a log-in at the person's wish.
    pub(crate) async fn cancel(
        &self,
        request: &str,
        cookie: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let login = self.login(request, cookie).await?;
        let keys = vec![login_key(request)];
        transact(&*self.context.store, keys, self.now(), |slots| {
            if let Some(slot) = slots.first_mut() {
                slot.record = None;
            }
        })
        .await?;
        let outcome = Outcome::Error {
            code: "access_denied",
            description: "the person cancelled the log-in",
        };
        answer_to(&login, outcome)
    }
}

/// Counts a log-in that begins, where there is a limit.
pub(crate) fn take_login(slot: Option<&mut Slot>, now: Time) -> Result<(), Refusal> {
    match slot {
        None => Ok(()),
        slot => LOGINS_PER_SITE
            .take(slot, now)
            .map_err(|retry| Refusal::TooManyLogins { retry }),
    }
}

/// Passes a log-in on to the browser that began it (CVE-2022-39222, S-36): whoever knows the
/// request and has not its cookie learns nothing and changes nothing.
pub(crate) fn own(login: Option<Login>, cookie: Option<&str>, now: Time) -> Result<Login, Refusal> {
    let login = of_browser(login, cookie, now)?;
    if login.confirmed || login.device.is_none() {
        Ok(login)
    } else {
        Err(Refusal::NotConfirmed)
    }
}

/// The same, whether or not its owner has agreed to what it is for.
pub(crate) fn of_browser(
    login: Option<Login>,
    cookie: Option<&str>,
    now: Time,
) -> Result<Login, Refusal> {
    let login = login
        .filter(|login| login.expires > now.unix_seconds())
        .ok_or(Refusal::UnknownLogin)?;
    let digest = waxseal_crypto::sha256(cookie.unwrap_or_default().as_bytes());
    if same(&digest, &login.browser) {
        Ok(login)
    } else {
        Err(Refusal::OtherBrowser)
    }
}

/// The answer of a log-in to the redirect that it was begun with.
pub(crate) fn answer_to(login: &Login, outcome: Outcome) -> Result<Answer, Refusal> {
    let redirect = match login.device {
        Some(digest) => Some(Redirect::Device(digest)),
        None => Redirect::parse(&login.redirect_uri),
    };
    Ok(Answer {
        redirect: redirect.ok_or(Refusal::UnknownLogin)?,
        state: login.state.clone(),
        outcome,
    })
}

/// Who is about to log in, as the client believes: filled in, no more. What is too long for an
/// address is none.
pub(crate) fn login_hint(parameters: &Parameters) -> Option<String> {
    let hint = parameters.value("login_hint");
    hint.filter(|hint| hint.len() <= MAX_EMAIL)
        .map(str::to_owned)
}
