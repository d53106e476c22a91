//! The authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636, RFC 9207), as pure steps: a
//! URL for the browser, the query that comes back, the request for the token.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::{Url, form_urlencoded};
use waxseal_crypto::{Digest, HashAlgorithm, Random, RandomError, sha256};
use waxseal_transport::{Request, Response, Transport, TransportError};
use zeroize::Zeroizing;

use crate::json::{JsonError, parse_object};
use crate::{Discovery, DiscoveryError, IdentityToken, JwsAlgorithm, TokenFormatError};

/// The client id that every Sigstore client uses.
pub const PUBLIC_CLIENT: &str = "sigstore";

/// Where a broker shows the code for copying, where no redirect can reach us.
pub const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";

/// Longest query that a redirect may bring.
pub const MAX_CALLBACK: usize = 8 * 1024;

/// Longest answer of a token endpoint in bytes: two tokens and a little JSON.
pub(crate) const MAX_TOKEN_ANSWER: usize = 64 * 1024;

/// Where and as what to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginConfig {
    /// The issuer.
    pub issuer: String,
    /// The client id, [`PUBLIC_CLIENT`] unless the issuer says otherwise.
    pub client_id: String,
    /// The provider to log in at, if the broker should not ask.
    pub connector_id: Option<String>,
    /// The address to fill in, if it is known.
    pub login_hint: Option<String>,
}

impl LoginConfig {
    /// A log-in at an issuer as the public client.
    pub fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: PUBLIC_CLIENT.to_owned(),
            connector_id: None,
            login_hint: None,
        }
    }
}

/// Why a log-in failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// No discovery document.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The document names no device authorization endpoint, or no token endpoint (RFC 8628 §4).
    #[error("the issuer offers no log-in by device code")]
    NoDeviceEndpoint,
    /// The answer to the request for a device code lacks a member, or has a malformed one
    /// (RFC 8628 §3.2).
    #[error("the issuer's device code is malformed ({member:?})")]
    MalformedDeviceCode {
        /// The member.
        member: &'static str,
    },
    /// The device code expired before anybody confirmed it (RFC 8628 §3.5).
    #[error("the code expired before anybody confirmed it")]
    DeviceCodeExpired,
    /// The person said no (RFC 8628 §3.5, RFC 6749 §4.1.2.1).
    #[error("the log-in was denied in the browser{}{description}", if description.is_empty() { "" } else { ": " })]
    Denied {
        /// The issuer's explanation, printable characters only.
        description: String,
    },
    /// The document names no authorization or token endpoint.
    #[error("the issuer's discovery document has no authorization or token endpoint")]
    NoEndpoint,
    /// The issuer does not announce PKCE with S256 (RFC 9700 §2.1.1).
    #[error("the issuer does not support PKCE with S256")]
    NoPkce,
    /// Randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The socket for the browser's redirect could not be opened.
    #[error("no socket on 127.0.0.1 for the browser's answer")]
    Listen(#[source] std::io::Error),
    /// Nobody came back in time.
    #[error("nobody finished logging in within {} minutes", crate::LOGIN_TIMEOUT.as_secs() / 60)]
    TimedOut,
    /// The browser's answer is too long, or has a parameter twice.
    #[error("the answer of the log-in is malformed")]
    MalformedCallback,
    /// `state` is absent or not ours: the answer belongs to somebody else's log-in (S-42).
    #[error("the answer belongs to another log-in (state differs)")]
    WrongState,
    /// `iss` is absent where it was announced, or another issuer's (RFC 9207 §2.4).
    #[error("the answer comes from another issuer")]
    WrongIssuer,
    /// The issuer said no.
    #[error("the log-in was refused: {code}{}{description}", if description.is_empty() { "" } else { ": " })]
    Refused {
        /// The error code (RFC 6749 §4.1.2.1, §5.2).
        code: String,
        /// Its explanation, printable characters only.
        description: String,
    },
    /// The answer has no code.
    #[error("the answer of the log-in has no code")]
    NoCode,
    /// The token endpoint could not be reached.
    #[error("the issuer's token endpoint gave no token")]
    Transport(#[from] TransportError),
    /// The token endpoint's answer is not strict JSON.
    #[error("the answer of the token endpoint is {0}")]
    NotJson(#[from] JsonError),
    /// The token endpoint's answer has no `id_token`.
    #[error("the answer of the token endpoint has no \"id_token\"")]
    NoToken,
    /// The token is malformed.
    #[error("the issuer's token is malformed")]
    BadToken(#[from] TokenFormatError),
    /// The token is not the answer to this log-in: `iss`, `aud`, `nonce` or `at_hash` differs
    /// (OpenID Connect Core §3.1.3.7, §3.1.3.6).
    #[error("the token is not for this log-in ({claim} differs)")]
    TokenMismatch {
        /// The claim.
        claim: &'static str,
    },
}

/// A code that can be exchanged once.
pub struct AuthorizationCode(Zeroizing<String>);

impl AuthorizationCode {
    /// A code that a person has copied; white space around it is dropped.
    ///
    /// # Errors
    /// [`LoginError::NoCode`] if there is none.
    pub fn pasted(text: &str) -> Result<Self, LoginError> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_CALLBACK {
            return Err(LoginError::NoCode);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationCode(redacted)")
    }
}

/// One log-in: where to send the browser, and the secrets that bind its answer to us.
pub struct AuthorizationRequest {
    url: Url,
    token_endpoint: Url,
    issuer: String,
    client_id: String,
    redirect_uri: String,
    expects_iss: bool,
    state: String,
    nonce: String,
    verifier: Zeroizing<String>,
}

impl AuthorizationRequest {
    /// Begins a log-in: `redirect_uri` is a loopback URL or [`OUT_OF_BAND`].
    ///
    /// # Errors
    /// [`LoginError::NoEndpoint`], [`LoginError::NoPkce`] or [`LoginError::Random`].
    pub fn new(
        discovery: &Discovery,
        config: &LoginConfig,
        redirect_uri: &str,
        random: &dyn Random,
    ) -> Result<Self, LoginError> {
        let (Some(authorize), Some(token_endpoint)) =
            (&discovery.authorization_endpoint, &discovery.token_endpoint)
        else {
            return Err(LoginError::NoEndpoint);
        };
        if !discovery.pkce_s256 {
            return Err(LoginError::NoPkce);
        }
        let (state, nonce) = (unguessable(random)?, unguessable(random)?);
        let verifier = Zeroizing::new(unguessable(random)?);
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        let mut url = authorize.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &config.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", "openid email")
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("access_type", "online")
            .extend_pairs(config.connector_id.iter().map(|id| ("connector_id", id)))
            .extend_pairs(config.login_hint.iter().map(|hint| ("login_hint", hint)));
        Ok(Self {
            url,
            token_endpoint: token_endpoint.clone(),
            issuer: discovery.issuer.clone(),
            client_id: config.client_id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            expects_iss: discovery.response_iss,
            state,
            nonce,
            verifier,
        })
    }

    /// Where to send the browser.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Takes the code from the query of the browser's redirect.
    ///
    /// # Errors
    /// [`LoginError`], `MalformedCallback` to `NoCode`.
    pub fn code_from_callback(&self, query: &str) -> Result<AuthorizationCode, LoginError> {
        if query.len() > MAX_CALLBACK {
            return Err(LoginError::MalformedCallback);
        }
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name, value).is_some() {
                return Err(LoginError::MalformedCallback);
            }
        }
        // Compared as digests: the time it takes says nothing about the secret.
        let state = parameters
            .get("state")
            .map(|state| sha256(state.as_bytes()));
        if state != Some(sha256(self.state.as_bytes())) {
            return Err(LoginError::WrongState);
        }
        match parameters.get("iss") {
            Some(issuer) if *issuer == self.issuer => {}
            None if !self.expects_iss => {}
            _ => return Err(LoginError::WrongIssuer),
        }
        if let Some(code) = parameters.get("error") {
            let description = parameters.get("error_description");
            return Err(refused(code, description.map_or("", |text| text)));
        }
        match parameters.get("code") {
            Some(code) if !code.is_empty() => {
                Ok(AuthorizationCode(Zeroizing::new(code.clone().into_owned())))
            }
            _ => Err(LoginError::NoCode),
        }
    }

    /// The request that exchanges the code.
    pub fn token_request(&self, code: &AuthorizationCode) -> Request {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &code.0)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("client_id", &self.client_id)
            .append_pair("code_verifier", &self.verifier)
            .finish();
        Request::post(
            self.token_endpoint.clone(),
            "application/x-www-form-urlencoded",
            body.into_bytes(),
        )
        .with_header("Accept", "application/json")
        .with_max_response(MAX_TOKEN_ANSWER)
    }

    /// Takes the token from the token endpoint's answer. It came over the connection to the
    /// issuer itself, which stands for its signature here (OpenID Connect Core §3.1.3.7).
    ///
    /// # Errors
    /// [`LoginError`], `Refused` and from `Transport` on.
    pub fn token_from_answer(&self, answer: Response) -> Result<IdentityToken, LoginError> {
        if let Some((code, description)) = refusal(&answer) {
            return Err(refused(&code, &description));
        }
        let (token, access_token) = token_of(answer)?;
        let expected = Expected {
            issuer: &self.issuer,
            client_id: &self.client_id,
            nonce: Some(&self.nonce),
        };
        check_token(
            &token,
            &expected,
            access_token.as_ref().map(|text| text.as_str()),
        )?;
        Ok(token)
    }

    /// Exchanges the code for the token.
    ///
    /// # Errors
    /// [`LoginError`], as [`Self::token_from_answer`].
    pub async fn exchange(
        &self,
        transport: &dyn Transport,
        code: &AuthorizationCode,
    ) -> Result<IdentityToken, LoginError> {
        let answer = transport.send(self.token_request(code)).await?;
        self.token_from_answer(answer)
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("issuer", &self.issuer)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// What the token of a log-in must be about.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    /// `None` where the flow has none.
    pub(crate) nonce: Option<&'a str>,
}

/// Whether a token is the answer to a log-in (OpenID Connect Core §3.1.3.7, §3.1.3.6).
pub(crate) fn check_token(
    token: &IdentityToken,
    expected: &Expected<'_>,
    access_token: Option<&str>,
) -> Result<(), LoginError> {
    let claim = |name| {
        let text = token.claims().optional_text(name);
        text.map_err(TokenFormatError::from)
    };
    let mismatch = |claim| Err(LoginError::TokenMismatch { claim });
    if token.issuer() != expected.issuer {
        return mismatch("iss");
    }
    if !token
        .audiences()
        .any(|audience| audience == expected.client_id)
    {
        return mismatch("aud");
    }
    if expected.nonce.is_some() && claim("nonce")? != expected.nonce {
        return mismatch("nonce");
    }
    let own_hash = access_token.and_then(|text| at_hash(token.algorithm(), text));
    match claim("at_hash")? {
        Some(found) if Some(found) != own_hash.as_deref() => mismatch("at_hash"),
        _ => Ok(()),
    }
}

/// The identity token of a token endpoint's answer, and the access token beside it.
pub(crate) fn token_of(
    answer: Response,
) -> Result<(IdentityToken, Option<Zeroizing<String>>), LoginError> {
    let answer = answer.expect_status(&[200])?;
    let object = parse_object(&answer.body, MAX_TOKEN_ANSWER)?;
    let text = object.get("id_token").and_then(Value::as_str);
    let token = IdentityToken::parse(text.ok_or(LoginError::NoToken)?)?;
    let access_token = object.get("access_token").and_then(Value::as_str);
    Ok((
        token,
        access_token.map(|text| Zeroizing::new(text.to_owned())),
    ))
}

/// The error code and description of an endpoint that says no (RFC 6749 §5.2). Issuers use 400 and
/// 401, and for the device flow also 403, 428 and 429.
pub(crate) fn refusal(answer: &Response) -> Option<(String, String)> {
    if !(400..500).contains(&answer.status) {
        return None;
    }
    let object = parse_object(&answer.body, MAX_TOKEN_ANSWER).ok()?;
    let code = object.get("error").and_then(Value::as_str)?.to_owned();
    let description = object.get("error_description").and_then(Value::as_str);
    Some((code, description.unwrap_or_default().to_owned()))
}

/// The left half of the access token's hash (OpenID Connect Core §3.1.3.6), with the hash of the
/// ID token's algorithm; EdDSA's is SHA-512.
pub fn at_hash(algorithm: JwsAlgorithm, access_token: &str) -> Option<String> {
    let hash = match algorithm {
        JwsAlgorithm::Rs256 | JwsAlgorithm::Ps256 | JwsAlgorithm::Es256 => HashAlgorithm::Sha256,
        JwsAlgorithm::Rs384 | JwsAlgorithm::Ps384 | JwsAlgorithm::Es384 => HashAlgorithm::Sha384,
        _ => HashAlgorithm::Sha512,
    };
    let digest = Digest::of(hash, access_token.as_bytes());
    let half = digest.as_bytes().get(..hash.len() / 2)?;
    Some(URL_SAFE_NO_PAD.encode(half))
}

/// 256 bits in base64url: 43 characters, as long as a PKCE verifier must be (RFC 7636 §4.1).
pub(crate) fn unguessable(random: &dyn Random) -> Result<String, RandomError> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.fill(bytes.as_mut())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_ref()))
}

pub(crate) fn refused(code: &str, description: &str) -> LoginError {
    let printable = |text: &str| {
        text.chars()
            .filter(|c| c.is_ascii_graphic() || *c == ' ')
            .take(200)
            .collect()
    };
    let description = printable(description);
    match code {
        "access_denied" => LoginError::Denied { description },
        _ => LoginError::Refused {
            code: printable(code),
            description,
        },
    }
}

#[cfg(test)]
mod tests;
