//! The one client: `sigstore`, public, on whatever loopback port its program has opened.

use url::{Host, Url};
use waxseal_identity::{OUT_OF_BAND, PUBLIC_CLIENT};

/// Longest redirect URI in bytes.
const MAX_REDIRECT: usize = 512;

/// Whether a client id is known.
pub(crate) fn is_known(client_id: &str) -> bool {
    client_id == PUBLIC_CLIENT
}

/// Where the answer of a log-in goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// A program on the person's own machine.
    Loopback(Url),
    /// Shown on a page, to be copied.
    OutOfBand,
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
            Self::OutOfBand => None,
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
