//! A log-in by e-mail code without a person: the broker's own pages, driven over a Transport.
//!
//! It does what a browser and its user do — follow redirects, keep cookies, fill in the forms — so
//! that a demonstration and the tests log in as everybody does.

mod form;
mod outbox;

use std::collections::BTreeMap;
use std::time::Duration;

use waxseal_crypto::Random;
use waxseal_identity::{AuthorizationRequest, Discovery, IdentityToken, LoginConfig, LoginError};
use waxseal_transport::{Credential, Origin, Request, Response, Transport, TransportError, Url};

use form::Form;
pub use outbox::OutboxReader;

/// Where the answer would go: nobody listens there, since the redirect is read and not followed.
const REDIRECT: &str = "http://localhost:1/auth/callback";

/// Redirects and pages that one log-in may take.
const MAX_STEPS: usize = 10;

/// How long the mail may take.
const MAIL_WAIT: Duration = Duration::from_secs(10);

/// How often the mailbox is looked into.
const MAIL_POLL: Duration = Duration::from_millis(10);

/// Where the code arrives.
pub trait Mailbox: Send + Sync {
    /// The newest code for an address, once it is there.
    fn code(&self, address: &str) -> Option<String>;
}

/// Why a log-in did not end in a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmailLoginError {
    /// The broker's address is no URL.
    #[error("the issuer is no URL")]
    Url(#[from] url::ParseError),
    /// A page could not be fetched.
    #[error("the broker's page could not be fetched")]
    Transport(#[from] TransportError),
    /// The protocol around the pages failed.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A page says no, or is none of those that a log-in is made of.
    #[error("the broker answered {status} where a log-in page belongs: {page}")]
    UnexpectedPage {
        /// The status.
        status: u16,
        /// What the page says, without its markup, cut short.
        page: String,
    },
    /// A redirect leads nowhere.
    #[error("the broker's redirect leads nowhere")]
    BadRedirect,
    /// More steps than any log-in has.
    #[error("the log-in did not end after {MAX_STEPS} pages")]
    Endless,
    /// No mail came.
    #[error("no code arrived for {address}")]
    NoMail {
        /// For whom.
        address: String,
    },
}

/// Logs in at a broker as the holder of an address, whose mail arrives in `mailbox`.
///
/// # Errors
/// [`EmailLoginError`].
pub async fn email_login(
    transport: &dyn Transport,
    random: &dyn Random,
    issuer: &str,
    address: &str,
    mailbox: &dyn Mailbox,
) -> Result<IdentityToken, EmailLoginError> {
    let well_known = format!("{issuer}/.well-known/openid-configuration");
    let answer = transport.send(Request::get(well_known.parse()?)).await?;
    let answer = answer.expect_status(&[200])?;
    let discovery = Discovery::parse(&answer.body, issuer).map_err(LoginError::from)?;
    let mut config = LoginConfig::new(issuer);
    config.login_hint = Some(address.to_owned());
    // Where there are providers too, this one is by code.
    config.connector_id = Some(issuer.to_owned());
    let authorization = AuthorizationRequest::new(&discovery, &config, REDIRECT, random)?;
    let page = authorization.url().clone();
    let callback = browse_login(transport, page, address, mailbox).await?;
    let code = authorization.code_from_callback(callback.query().unwrap_or_default())?;
    Ok(authorization.exchange(transport, &code).await?)
}

/// Goes through a log-in that a program has begun, from the page that it opened to the redirect that
/// leaves the broker: that URL belongs to the program, and is not fetched.
///
/// # Errors
/// [`EmailLoginError`].
pub async fn browse_login(
    transport: &dyn Transport,
    page: Url,
    address: &str,
    mailbox: &dyn Mailbox,
) -> Result<Url, EmailLoginError> {
    let mut browser = Browser {
        transport,
        cookies: BTreeMap::new(),
    };
    browser.walk(page, address, mailbox).await
}

/// As much of a browser as the pages need.
struct Browser<'a> {
    transport: &'a dyn Transport,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    /// From page to page until the broker sends the browser back to the program; that URL.
    async fn walk(
        &mut self,
        start: Url,
        address: &str,
        mailbox: &dyn Mailbox,
    ) -> Result<Url, EmailLoginError> {
        let broker = Origin::of(&start);
        let mut url = start.clone();
        let mut answer = self.send(Request::get(start)).await?;
        for _ in 0..MAX_STEPS {
            if matches!(answer.status, 302 | 303) {
                let location = answer.headers.only("Location");
                let target = location.and_then(|location| url.join(location).ok());
                url = target.ok_or(EmailLoginError::BadRedirect)?;
                if Origin::of(&url) != broker {
                    return Ok(url);
                }
                answer = self.send(Request::get(url.clone())).await?;
                continue;
            }
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            let unexpected = || EmailLoginError::UnexpectedPage {
                status: answer.status,
                page: form::text(&page),
            };
            let form = match answer.status {
                200 => Form::first(&page).ok_or_else(unexpected)?,
                _ => return Err(unexpected()),
            };
            let form = if form.asks_for("email") {
                form.fill("email", address)
            } else if form.asks_for("code") {
                let code = self.wait_for(mailbox, address).await?;
                form.fill("code", &code)
            } else {
                return Err(unexpected());
            };
            url = url
                .join(form.action())
                .map_err(|_| EmailLoginError::BadRedirect)?;
            let body = form.encode().into_bytes();
            let request = Request::post(url.clone(), "application/x-www-form-urlencoded", body);
            answer = self.send(request).await?;
        }
        Err(EmailLoginError::Endless)
    }

    async fn send(&mut self, request: Request) -> Result<Response, TransportError> {
        let url = request.url.clone();
        let mut request = request.returning_redirects();
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            request = request.with_credential(Credential::cookie(&url, pairs.join("; ")));
        }
        let answer = self.transport.send(request).await?;
        for cookie in answer.headers.all("Set-Cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies
                    .insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        Ok(answer)
    }

    async fn wait_for(
        &self,
        mailbox: &dyn Mailbox,
        address: &str,
    ) -> Result<String, EmailLoginError> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(code) = mailbox.code(address) {
                return Ok(code);
            }
            if waited >= MAIL_WAIT {
                return Err(EmailLoginError::NoMail {
                    address: address.to_owned(),
                });
            }
            self.transport.sleep(MAIL_POLL).await;
            waited += MAIL_POLL;
        }
    }
}

#[cfg(test)]
mod tests;
