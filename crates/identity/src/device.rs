//! The device flow (RFC 8628): a code to enter in a browser anywhere, and polling until somebody
//! did. For machines without a browser of their own, such as those behind SSH.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::{Either, select};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};
use waxseal_crypto::{Random, sha256};
use waxseal_transport::{BoxFuture, Request, Response, Transport, is_loopback};
use zeroize::Zeroizing;

use crate::json::parse_object;
use crate::login::{
    Expected, MAX_TOKEN_ANSWER, check_token, refusal, refused, token_of, unguessable,
};
use crate::{
    Discovery, IdentityToken, LOGIN_TIMEOUT, LoginConfig, LoginError, ObtainError, TokenSource,
};

/// The grant type of RFC 8628 §3.4.
pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How long to wait between two polls if the issuer does not say (RFC 8628 §3.2).
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// What `slow_down` adds to the interval (RFC 8628 §3.5).
pub const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The longest interval that is kept to: a longer one would outlast the log-in.
pub const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// Failed polls in a row before the log-in is given up.
pub const MAX_FAILED_POLLS: u32 = 5;

/// Longest code for people, in characters; real ones have eight and a hyphen.
pub const MAX_USER_CODE: usize = 64;

/// Longest device code in bytes.
const MAX_DEVICE_CODE: usize = 4 * 1024;

/// What the person is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevicePage {
    /// Where to go, in any browser.
    pub verification_uri: Url,
    /// What to enter there.
    pub user_code: String,
    /// Where to go to without entering anything, if the issuer offers that.
    pub verification_uri_complete: Option<Url>,
}

/// Who shows the code to the person.
pub trait DevicePrompt: Send + Sync {
    /// Shows it. It must not wait for the log-in.
    fn show(&self, page: &DevicePage);
}

/// One log-in by device code: the secrets that bind its answer to us.
pub struct DeviceRequest {
    device_endpoint: Url,
    token_endpoint: Url,
    config: LoginConfig,
    verifier: Zeroizing<String>,
}

/// A device code that somebody is to confirm.
pub struct DeviceCode {
    page: DevicePage,
    secret: Zeroizing<String>,
    lifetime: Duration,
    interval: Duration,
}

/// What one poll says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Polled {
    /// Nobody has confirmed it yet.
    Pending,
    /// The same, and we ask too often.
    SlowDown,
    /// The token.
    Token(Box<IdentityToken>),
}

impl DeviceRequest {
    /// Begins a log-in.
    ///
    /// # Errors
    /// [`LoginError::NoDeviceEndpoint`], [`LoginError::NoPkce`] or [`LoginError::Random`].
    pub fn new(
        discovery: &Discovery,
        config: &LoginConfig,
        random: &dyn Random,
    ) -> Result<Self, LoginError> {
        let (Some(device_endpoint), Some(token_endpoint)) = (
            &discovery.device_authorization_endpoint,
            &discovery.token_endpoint,
        ) else {
            return Err(LoginError::NoDeviceEndpoint);
        };
        if !discovery.pkce_s256 {
            return Err(LoginError::NoPkce);
        }
        Ok(Self {
            device_endpoint: device_endpoint.clone(),
            token_endpoint: token_endpoint.clone(),
            config: config.clone(),
            verifier: Zeroizing::new(unguessable(random)?),
        })
    }

    /// The request for a device code (RFC 8628 §3.1), with the challenge of RFC 7636.
    pub fn code_request(&self) -> Request {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(self.verifier.as_bytes()));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", &self.config.client_id)
            .append_pair("scope", "openid email")
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(
                self.config
                    .connector_id
                    .iter()
                    .map(|id| ("connector_id", id)),
            )
            .extend_pairs(
                self.config
                    .login_hint
                    .iter()
                    .map(|hint| ("login_hint", hint)),
            );
        post(&self.device_endpoint, form.finish())
    }

    /// Takes the device code from the answer (RFC 8628 §3.2).
    ///
    /// # Errors
    /// [`LoginError::Refused`], [`LoginError::MalformedDeviceCode`], `Transport` or `NotJson`.
    pub fn code_from_answer(&self, answer: Response) -> Result<DeviceCode, LoginError> {
        if let Some((code, description)) = refusal(&answer) {
            return Err(refused(&code, &description));
        }
        let answer = answer.expect_status(&[200])?;
        let object = parse_object(&answer.body, MAX_TOKEN_ANSWER)?;
        let secret = text(&object, "device_code", MAX_DEVICE_CODE)?;
        let user_code = text(&object, "user_code", MAX_USER_CODE)?;
        let page = DevicePage {
            // Dex says `verification_uri`, early drafts and Google say `verification_url`.
            verification_uri: match object.contains_key("verification_uri") {
                true => page_url(&object, "verification_uri")?,
                false => page_url(&object, "verification_url")?,
            },
            user_code: user_code.to_owned(),
            verification_uri_complete: match object.contains_key("verification_uri_complete") {
                true => Some(page_url(&object, "verification_uri_complete")?),
                false => None,
            },
        };
        let seconds = |member| match object.get(member) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .map(|seconds| Some(Duration::from_secs(seconds)))
                .ok_or(LoginError::MalformedDeviceCode { member }),
        };
        let lifetime = seconds("expires_in")?.ok_or(LoginError::MalformedDeviceCode {
            member: "expires_in",
        })?;
        let interval = seconds("interval")?.unwrap_or(DEFAULT_INTERVAL);
        Ok(DeviceCode {
            page,
            secret: Zeroizing::new(secret.to_owned()),
            lifetime,
            interval: interval.clamp(Duration::from_secs(1), MAX_INTERVAL),
        })
    }

    /// One poll (RFC 8628 §3.4).
    pub fn poll_request(&self, code: &DeviceCode) -> Request {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", DEVICE_GRANT)
            .append_pair("device_code", &code.secret)
            .append_pair("client_id", &self.config.client_id)
            .append_pair("code_verifier", &self.verifier)
            .finish();
        post(&self.token_endpoint, body)
    }

    /// Takes what the poll says (RFC 8628 §3.5).
    ///
    /// # Errors
    /// [`LoginError`]: the log-in is over.
    pub fn polled(&self, answer: Response) -> Result<Polled, LoginError> {
        if let Some((code, description)) = refusal(&answer) {
            return match code.as_str() {
                "authorization_pending" => Ok(Polled::Pending),
                "slow_down" => Ok(Polled::SlowDown),
                "expired_token" => Err(LoginError::DeviceCodeExpired),
                _ => Err(refused(&code, &description)),
            };
        }
        let (token, access_token) = token_of(answer)?;
        // The flow has no nonce: the device code and the verifier bind the answer to us.
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: None,
        };
        check_token(
            &token,
            &expected,
            access_token.as_ref().map(|text| text.as_str()),
        )?;
        Ok(Polled::Token(Box::new(token)))
    }
}

impl DeviceCode {
    /// What to show.
    pub fn page(&self) -> &DevicePage {
        &self.page
    }

    /// How long it can be confirmed.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// How long to wait before each poll.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    fn slow_down(&mut self, by: Duration) {
        self.interval = (self.interval + by).min(MAX_INTERVAL);
    }
}

impl fmt::Debug for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceRequest")
            .field("issuer", &self.config.issuer)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCode(redacted)")
    }
}

/// The log-in by device code.
pub struct DeviceLogin<'a> {
    /// Where and as what.
    pub config: LoginConfig,
    /// Source of the verifier.
    pub random: &'a dyn Random,
    /// Who shows the code.
    pub prompt: &'a dyn DevicePrompt,
}

impl DeviceLogin<'_> {
    /// Logs in: shows the code, and polls until it is confirmed, refused or expired, or
    /// [`LOGIN_TIMEOUT`] is over.
    ///
    /// # Errors
    /// [`LoginError`]; [`LoginError::NoDeviceEndpoint`] before anything is shown.
    pub async fn log_in(&self, transport: &dyn Transport) -> Result<IdentityToken, LoginError> {
        let discovery = Discovery::fetch(transport, &self.config.issuer).await?;
        let request = DeviceRequest::new(&discovery, &self.config, self.random)?;
        let answer = transport.send(request.code_request()).await?;
        let code = request.code_from_answer(answer)?;
        self.prompt.show(code.page());
        let limit = code.lifetime().min(LOGIN_TIMEOUT);
        let over = match code.lifetime() < LOGIN_TIMEOUT {
            true => LoginError::DeviceCodeExpired,
            false => LoginError::TimedOut,
        };
        let polling = Box::pin(poll(&request, code, transport));
        match select(polling, transport.sleep(limit)).await {
            Either::Left((token, _)) => token,
            Either::Right(_) => Err(over),
        }
    }
}

/// Polls until the issuer has decided. A poll that does not get through doubles the interval
/// (RFC 8628 §3.5), and ends the log-in when it is the last of too many in a row.
async fn poll(
    request: &DeviceRequest,
    mut code: DeviceCode,
    transport: &dyn Transport,
) -> Result<IdentityToken, LoginError> {
    let mut failed = 0;
    loop {
        transport.sleep(code.interval()).await;
        let sent = transport.send(request.poll_request(&code)).await;
        let answered = sent.and_then(|answer| match answer.status {
            500.. => answer.expect_status(&[200]),
            _ => Ok(answer),
        });
        match answered {
            Ok(answer) => {
                failed = 0;
                match request.polled(answer)? {
                    Polled::Pending => {}
                    Polled::SlowDown => code.slow_down(SLOW_DOWN),
                    Polled::Token(token) => return Ok(*token),
                }
            }
            Err(error) => {
                failed += 1;
                if failed >= MAX_FAILED_POLLS {
                    return Err(error.into());
                }
                let interval = code.interval();
                code.slow_down(interval);
            }
        }
    }
}

impl TokenSource for DeviceLogin<'_> {
    fn obtain<'a>(
        &'a self,
        transport: &'a dyn Transport,
    ) -> BoxFuture<'a, Result<IdentityToken, ObtainError>> {
        Box::pin(async { Ok(self.log_in(transport).await?) })
    }
}

fn post(url: &Url, form: String) -> Request {
    Request::post(
        url.clone(),
        "application/x-www-form-urlencoded",
        form.into_bytes(),
    )
    .with_header("Accept", "application/json")
    .with_max_response(MAX_TOKEN_ANSWER)
}

/// A member that is printable ASCII without spaces at its ends.
fn text<'a>(
    object: &'a Map<String, Value>,
    member: &'static str,
    limit: usize,
) -> Result<&'a str, LoginError> {
    let text = object.get(member).and_then(Value::as_str);
    text.filter(|text| {
        let printable = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
        printable && !text.trim().is_empty() && text.len() <= limit
    })
    .ok_or(LoginError::MalformedDeviceCode { member })
}

/// A page for the person's browser: nothing but the web, and no secret in plain http.
fn page_url(object: &Map<String, Value>, member: &'static str) -> Result<Url, LoginError> {
    let url = Url::parse(text(object, member, MAX_DEVICE_CODE)?)
        .map_err(|_| LoginError::MalformedDeviceCode { member })?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    match safe && url.username().is_empty() && url.password().is_none() {
        true => Ok(url),
        false => Err(LoginError::MalformedDeviceCode { member }),
    }
}

#[cfg(test)]
mod tests;
