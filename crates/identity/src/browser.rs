//! Logging in with a browser: the redirect comes back to a socket on loopback (RFC 8252 §7.3), or
//! the person copies a code.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use url::Url;
use waxseal_crypto::Random;
use waxseal_transport::{BoxFuture, Transport};

use crate::loopback::{CALLBACK_PATH, Loopback};
use crate::{
    AuthorizationCode, AuthorizationRequest, Discovery, IdentityToken, LoginConfig, LoginError,
    OUT_OF_BAND, ObtainError, TokenSource,
};

/// How long a person has to finish logging in (clients.md §6.6).
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(300);

/// Who shows the log-in page to the person: opens a browser, prints the URL, or both.
pub trait Opener: Send + Sync {
    /// Shows it. It must not wait for the log-in. If no browser can be opened the person may
    /// still follow a printed URL, so there is no failure here.
    fn open(&self, url: &Url);
}

/// Who asks the person for the code that the broker shows.
pub trait CodePrompt: Send + Sync {
    /// Shows the URL, and waits for the code.
    fn code<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<String, LoginError>>;
}

/// The log-in whose answer comes back by itself.
pub struct BrowserLogin<'a> {
    /// Where and as what.
    pub config: LoginConfig,
    /// Source of state, nonce and verifier.
    pub random: &'a dyn Random,
    /// Who shows the page.
    pub opener: &'a dyn Opener,
}

impl BrowserLogin<'_> {
    /// Logs in: opens the socket, shows the page, waits at most [`LOGIN_TIMEOUT`], and exchanges
    /// the code. Dropping the future closes the socket.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn log_in(&self, transport: &dyn Transport) -> Result<IdentityToken, LoginError> {
        let discovery = Discovery::fetch(transport, &self.config.issuer).await?;
        let loopback = Loopback::bind().map_err(LoginError::Listen)?;
        let redirect_uri = format!("http://{}{CALLBACK_PATH}", loopback.address());
        let request = Arc::new(AuthorizationRequest::new(
            &discovery,
            &self.config,
            &redirect_uri,
            self.random,
        )?);
        let judge = Arc::clone(&request);
        let answer = loopback
            .listen(move |query| judge.code_from_callback(query))
            .map_err(LoginError::Listen)?;
        self.opener.open(request.url());
        let code = match select(answer, transport.sleep(LOGIN_TIMEOUT)).await {
            Either::Left((code, _)) => code?,
            Either::Right(_) => return Err(LoginError::TimedOut),
        };
        request.exchange(transport, &code).await
    }
}

impl TokenSource for BrowserLogin<'_> {
    fn obtain<'a>(
        &'a self,
        transport: &'a dyn Transport,
    ) -> BoxFuture<'a, Result<IdentityToken, ObtainError>> {
        Box::pin(async { Ok(self.log_in(transport).await?) })
    }
}

/// The log-in whose code is copied by hand, for machines that no browser's redirect reaches.
pub struct OutOfBandLogin<'a> {
    /// Where and as what.
    pub config: LoginConfig,
    /// Source of nonce and verifier.
    pub random: &'a dyn Random,
    /// Who asks for the code.
    pub prompt: &'a dyn CodePrompt,
}

impl OutOfBandLogin<'_> {
    /// Logs in within [`LOGIN_TIMEOUT`].
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn log_in(&self, transport: &dyn Transport) -> Result<IdentityToken, LoginError> {
        let discovery = Discovery::fetch(transport, &self.config.issuer).await?;
        let request =
            AuthorizationRequest::new(&discovery, &self.config, OUT_OF_BAND, self.random)?;
        let prompt = self.prompt.code(request.url());
        let code = match select(prompt, transport.sleep(LOGIN_TIMEOUT)).await {
            Either::Left((code, _)) => AuthorizationCode::pasted(&code?)?,
            Either::Right(_) => return Err(LoginError::TimedOut),
        };
        request.exchange(transport, &code).await
    }
}

impl TokenSource for OutOfBandLogin<'_> {
    fn obtain<'a>(
        &'a self,
        transport: &'a dyn Transport,
    ) -> BoxFuture<'a, Result<IdentityToken, ObtainError>> {
        Box::pin(async { Ok(self.log_in(transport).await?) })
    }
}
