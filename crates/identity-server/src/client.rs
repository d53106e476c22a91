//! The one client: `sigstore`, public, on whatever loopback port its program has opened.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};
use waxseal_identity::{OUT_OF_BAND, PUBLIC_CLIENT};

use crate::parameters::Parameters;

/// Longest redirect URI in bytes.
const MAX_REDIRECT: usize = 512;

/// Whether a client id is known.
pub(crate) fn is_known(client_id: &str) -> bool {
    client_id == PUBLIC_CLIENT
}

/// A client, as it proved itself: not at all, since it is public.
#[derive(Debug)]
pub(crate) struct PublicClient {
    pub(crate) id: String,
}

/// What a request says about its client besides its form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// `Authorization`, if it has one.
    pub(crate) authorization: Option<&'a str>,
    pub(crate) peer: Option<IpAddr>,
}

/// The client is unknown, or brought a secret. `basic` says whether it tried
/// `Authorization: Basic`, which wants a challenge back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientRefused {
    pub(crate) basic: bool,
}

impl PublicClient {
    /// The client: named in the form, or by Basic with an empty secret as sigstore-python does it.
    /// A public client has no secret, so one that comes with any is not it.
    pub(crate) fn authenticate(
        form: &Parameters,
        caller: &Caller<'_>,
    ) -> Result<Self, ClientRefused> {
        let refused = ClientRefused {
            basic: caller.authorization.is_some(),
        };
        let named = form.value("client_id");
        let id = match caller.authorization {
            None => named.ok_or(refused)?.to_owned(),
            Some(header) => {
                let (user, secret) = read_basic(header).ok_or(refused)?;
                if !secret.is_empty() || named.is_some_and(|named| named != user) {
                    return Err(refused);
                }
                user
            }
        };
        if form.value("client_secret").is_some() || !is_known(&id) {
            return Err(refused);
        }
        Ok(Self { id })
    }

    /// The same where the client may say nothing about itself.
    pub(crate) fn authenticate_if_named(
        form: &Parameters,
        caller: &Caller<'_>,
    ) -> Result<Option<Self>, ClientRefused> {
        let silent = caller.authorization.is_none()
            && form.value("client_id").is_none()
            && form.value("client_secret").is_none();
        if silent {
            return Ok(None);
        }
        Self::authenticate(form, caller).map(Some)
    }
}

/// `Basic` with both halves form-encoded (RFC 6749 §2.3.1).
fn read_basic(header: &str) -> Option<(String, String)> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(value.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        let mut pairs = url::form_urlencoded::parse(text.as_bytes());
        pairs
            .next()
            .map_or_else(String::new, |(name, _)| name.into_owned())
    };
    Some((decode(user), decode(secret)))
}

/// The base64url of a SHA-256 digest (RFC 7636 §4.2).
pub(crate) fn is_code_challenge(text: &str) -> bool {
    text.len() == 43
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}

/// 43 to 128 unreserved characters (RFC 7636 §4.1).
pub(crate) fn is_code_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}

/// Where the answer of a log-in goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// A program on the person's own machine.
    Loopback(Url),
    /// Shown on a page, to be copied.
    OutOfBand,
    /// Kept for the device that waits for it, by its digest. No request names one: it comes of the
    /// code that the person typed.
    Device([u8; 32]),
}

impl Redirect {
    /// Parses a redirect URI: out of band, or `http` to a loopback host with any port and path
    /// (RFC 8252 §7.3, §8.3). Everything that could name another place, or break a header, is
    /// refused; there is nothing to match against, so nothing can match loosely.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == OUT_OF_BAND {
            return Some(Self::OutOfBand);
        }
        let plain = text.len() <= MAX_REDIRECT
            && text.bytes().all(|c| c.is_ascii_graphic() && c != b'\\')
            && text.starts_with("http://")
            && !has_encoded_control(text);
        let url = Url::parse(text).ok().filter(|_| plain)?;
        let loopback = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        // The host as the text writes it, so that `127.1` or `0x7f000001` is not one.
        let written = text.get("http://".len()..).is_some_and(|rest| {
            url.host_str().is_some_and(|host| {
                let after = rest.strip_prefix(host).map(|tail| tail.chars().next());
                matches!(after, Some(None | Some(':' | '/' | '?')))
            })
        });
        let bare =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (loopback && written && bare).then_some(Self::Loopback(url))
    }

    /// The source expression of `form-action` that lets a form of ours end in this redirect.
    /// The grammar of CSP has no IPv6 addresses, so those get the scheme.
    pub(crate) fn csp_source(&self) -> Option<String> {
        match self {
            Self::OutOfBand | Self::Device(_) => None,
            Self::Loopback(url) if matches!(url.host(), Some(Host::Ipv6(_))) => {
                Some("http:".to_owned())
            }
            Self::Loopback(url) => Some(url.origin().ascii_serialization()),
        }
    }
}

/// `%00`–`%1f` and `%7f`: no redirect of a program's own needs them, and a careless server behind
/// it would decode them into a header.
fn has_encoded_control(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| match window {
        [b'%', high, low] => {
            let value = [*high, *low];
            let value = std::str::from_utf8(&value).ok();
            let value = value.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            value.is_some_and(|byte| byte.is_ascii_control())
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: bool) {
        assert_eq!(Redirect::parse(text).is_some(), expected, "{text:?}");
    }

    #[test]
    fn loopback_of_any_port_and_path() {
        for text in [
            "http://localhost:1234/auth/callback",
            "http://localhost:1234",
            "http://localhost",
            "http://127.0.0.1:8080/callback",
            "http://127.0.0.2:8080/",
            "http://[::1]:1/x",
            "http://localhost:1/Callback?x=y",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            check(text, true);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "http://localhost.evil.com",
            "http://localhost.evil.com:80/x",
            "http://127.0.0.1@evil.com",
            "http://127.0.0.1:80@evil.com",
            "http://u@localhost:1/",
            "http://u:p@localhost:1/",
            "https://localhost:1/",
            "http://[::1]evil.com/",
            "http://[::2]:1/x",
            "http://evil.com/?http://localhost",
            "http://evil.com#localhost",
            "http://localhost:1/#fragment",
            "http://localhost:1/%0d%0a",
            "http://localhost:1/%0D%0Ax",
            "http://localhost:1/%00",
            "http://localhost:1/\r\nX: y",
            "http://localhost:1/ x",
            "http://localhost\\@evil.com/",
            "http:\\\\evil.com",
            "http:/localhost:1/",
            "http:localhost:1",
            "HTTP://localhost:1/",
            "http://LOCALHOST:1/",
            "http://127.1:1/",
            "http://0x7f000001:1/",
            "http://2130706433:1/",
            "http://[0:0:0:0:0:0:0:1]:1/",
            "http://localhost.:1/",
            "http://localhost:99999/",
            "http%3A%2F%2Flocalhost%3A1%2F",
            "//localhost:1/",
            "/callback",
            "javascript:alert(1)",
            "data:text/html,x",
            "urn:ietf:wg:oauth:2.0:oob:auto",
            "http://0.0.0.0:1/",
            "http://169.254.169.254/",
            "http://ｌocalhost:1/",
        ] {
            check(text, false);
        }
        check(&format!("http://localhost:1/{}", "a".repeat(512)), false);
    }

    #[test]
    fn forms_may_end_at_the_redirect() {
        let source = |text: &str| Redirect::parse(text).and_then(|redirect| redirect.csp_source());
        assert_eq!(
            source("http://localhost:9/x").as_deref(),
            Some("http://localhost:9")
        );
        assert_eq!(source("http://[::1]:9/x").as_deref(), Some("http:"));
        assert_eq!(source(OUT_OF_BAND), None);
    }
}
