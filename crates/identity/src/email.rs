//! E-mail addresses that may become a certificate's identity (authority.md §2.6, §1.6).

use std::fmt;

use url::Host;

/// Longest address in bytes (RFC 5321 §4.5.3.1.3, without the angle brackets).
pub const MAX_EMAIL: usize = 254;

/// Longest local part in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// An address of the plain form: a dot-atom, `@`, and a domain of letters, digits and hyphens.
///
/// Bytes are kept as they came. Quoted local parts, comments, IP literals, `%` and everything
/// outside ASCII are refused: two programs disagree about whose they are, and a certificate must
/// mean one mailbox (R-CA-09).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

/// A text that is not an address of the plain form of [`EmailAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a plain e-mail address (ASCII, at most {MAX_EMAIL} bytes, no quotes, comments, % or IP \
     literals; write an international domain in its xn-- form)"
)]
pub struct EmailError;

impl EmailAddress {
    /// Parses an address.
    ///
    /// # Errors
    /// [`EmailError`].
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.split_once('@').ok_or(EmailError)?;
        let fits = text.len() <= MAX_EMAIL && is_local_part(local) && is_domain(domain);
        if !fits {
            return Err(EmailError);
        }
        Ok(Self {
            text: text.to_owned(),
            at: local.len(),
        })
    }

    /// The same mailbox with its domain in lower case: domains have no case, local parts belong
    /// to their domain (RFC 5321 §2.4).
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut text = self.text.clone();
        if let Some(domain) = text.get_mut(self.at..) {
            domain.make_ascii_lowercase();
        }
        Self { text, at: self.at }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A dot-atom (RFC 5322 §3.2.3) without `%` and `!`, which old mail routers act on, and without
/// the backtick and braces that shells do.
fn is_local_part(local: &str) -> bool {
    let atom = |c: u8| c.is_ascii_alphanumeric() || b"#$&'*+-/=?^_|~".contains(&c);
    local.len() <= MAX_LOCAL
        && local
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(atom))
}

/// Labels of letters, digits and inner hyphens, not an IP address, and no `xn--` label that
/// decodes to something else than itself (S-44: `xn--example-.org` is `example.org`).
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let lower = domain.to_ascii_lowercase();
    domain.split('.').all(label)
        && matches!(Host::parse(domain), Ok(Host::Domain(name)) if name == lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let parsed = EmailAddress::parse(text).ok();
        let normal = parsed.as_ref().map(EmailAddress::normalized);
        assert_eq!(
            normal.as_ref().map(EmailAddress::as_str),
            expected,
            "{text:?}"
        );
        if let Some(parsed) = parsed {
            assert_eq!(parsed.as_str(), text);
            assert_eq!(format!("{}@{}", parsed.local_part(), parsed.domain()), text);
        }
    }

    #[test]
    fn plain_addresses_are_kept_and_normalized() {
        check("you@example.com", Some("you@example.com"));
        check("You+Tag.x@Example.COM", Some("You+Tag.x@example.com"));
        check("o'neil@localhost", Some("o'neil@localhost"));
        check("a@xn--bcher-kva.example", Some("a@xn--bcher-kva.example"));
        let local = "a".repeat(64);
        check(
            &format!("{local}@b.example"),
            Some(&format!("{local}@b.example")),
        );
    }

    #[test]
    fn email_error() {
        let long_local = format!("{}@b.example", "a".repeat(65));
        let long = format!(
            "a@{}.example",
            [
                "b".repeat(60),
                "c".repeat(60),
                "d".repeat(60),
                "e".repeat(60),
                "f".repeat(20)
            ]
            .join(".")
        );
        for text in [
            "",
            "you",
            "@example.com",
            "you@",
            "you@@example.com",
            "you@a@example.com",
            "you@example.com\n",
            "you@example.com\r\nBcc: x@example.com",
            "you\0@example.com",
            "you@example.com\0.evil.example",
            " you@example.com",
            "you @example.com",
            "you@example.com,x@example.com",
            "\"you\"@example.com",
            "you(comment)@example.com",
            "<you@example.com>",
            "You <you@example.com>",
            "you%evil.example@example.com",
            "you!x@example.com",
            ".you@example.com",
            "you.@example.com",
            "y..ou@example.com",
            "you@.example.com",
            "you@example.com.",
            "you@exa_mple.com",
            "you@-example.com",
            "you@example-.com",
            "you@[127.0.0.1]",
            "you@127.0.0.1",
            "you@1.2",
            "you@0x7f.1",
            "you@[::1]",
            "yöu@example.com",
            "you@bücher.example",
            "you@ex\u{430}mple.com",
            "you@xn--example-.org",
            "you@example.com\u{202e}",
            &long_local,
            &long,
        ] {
            check(text, None);
        }
    }
}
