//! An identity token as its holder sees it: a secret to carry, with claims to read and not to
//! trust.

use std::fmt;

use waxseal_crypto::Time;
use zeroize::Zeroizing;

use crate::claims::Claims;
use crate::{ClaimError, CompactJws, JwsAlgorithm, JwsError};

/// An identity token that somebody else will verify. Its text is wiped on drop and shown by
/// nothing but [`IdentityToken::expose`].
#[derive(Clone)]
pub struct IdentityToken {
    text: Zeroizing<String>,
    algorithm: JwsAlgorithm,
    issuer: String,
    subject: String,
    email: Option<String>,
    audiences: Vec<String>,
    expires: Time,
    claims: Claims,
}

/// Why a text is not an identity token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFormatError {
    /// Not a compact JWS.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// `iss`, `sub`, `aud` or `exp` is missing or malformed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl IdentityToken {
    /// Reads a token; white space around it is dropped. The signature is not checked: the holder
    /// has no use for that.
    ///
    /// # Errors
    /// [`TokenFormatError`].
    pub fn parse(text: &str) -> Result<Self, TokenFormatError> {
        let text = text.trim_ascii();
        let jws = CompactJws::parse(text)?;
        let claims = Claims::parse(jws.unverified_payload())?;
        let expires = claims.time("exp")?.ok_or_else(|| ClaimError::Missing {
            claim: "exp".to_owned(),
        })?;
        let email = if claims.email_verified() {
            claims.optional_text("email")?.map(str::to_owned)
        } else {
            None
        };
        Ok(Self {
            algorithm: jws.algorithm(),
            issuer: claims.text(&["iss"])?.to_owned(),
            subject: claims.text(&["sub"])?.to_owned(),
            email,
            audiences: claims.audiences()?.into_iter().map(str::to_owned).collect(),
            expires,
            text: Zeroizing::new(text.to_owned()),
            claims,
        })
    }

    /// The token itself: for the request that presents it, and for nothing else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// `alg`, unverified.
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }

    /// `iss`, unverified.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`, unverified.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `email`, if the token says that it is verified; unverified.
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// `aud`, unverified.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.audiences.iter().map(String::as_str)
    }

    /// `exp`, unverified.
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// What a proof of possession signs: the address if the token vouches for one, else `sub`,
    /// as every client does it (authority.md §1.4).
    pub fn challenge(&self) -> &str {
        self.email().unwrap_or(&self.subject)
    }

    /// The connector that a broker says the log-in came through (`federated_claims`): authorities
    /// that are told to name it do so in the certificate, in place of the broker.
    pub fn connector(&self) -> Option<&str> {
        self.claims.text(&["federated_claims", "connector_id"]).ok()
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(payload: &str) -> Result<IdentityToken, TokenFormatError> {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let payload = URL_SAFE_NO_PAD.encode(payload);
        IdentityToken::parse(&format!(" {header}.{payload}.c2ln\n"))
    }

    #[test]
    fn the_challenge_is_the_vouched_address_or_the_subject() {
        let check = |claims: &str, expected: &str| {
            let text =
                format!(r#"{{"iss":"https://a.example","sub":"s","aud":"b","exp":1{claims}}}"#);
            assert_eq!(token(&text).unwrap().challenge(), expected, "{claims}");
        };
        check("", "s");
        check(r#","email":"you@example.com""#, "s");
        check(r#","email":"you@example.com","email_verified":false"#, "s");
        check(
            r#","email":"you@example.com","email_verified":true"#,
            "you@example.com",
        );
        check(
            r#","email":"you@example.com","email_verified":"true""#,
            "you@example.com",
        );
    }

    #[test]
    fn s_46_subjects_outside_ascii_are_read_as_utf_8() {
        let text = r#"{"iss":"https://a.example","sub":"jürgen","aud":["b"],"exp":1}"#;
        assert_eq!(token(text).unwrap().challenge(), "jürgen");
        let control = r#"{"iss":"https://a.example","sub":"a\nb","aud":"b","exp":1}"#;
        assert!(matches!(token(control), Err(TokenFormatError::Claim(_))));
    }

    #[test]
    fn claim() {
        for text in [
            "{}",
            r#"{"iss":"i","sub":"s","aud":"a"}"#,
            r#"{"iss":"i","sub":"","aud":"a","exp":1}"#,
            r#"{"iss":"i","sub":"s","exp":1}"#,
            r#"{"iss":7,"sub":"s","aud":"a","exp":1}"#,
            r#"{"iss":"i","sub":"s","aud":"a","exp":"1"}"#,
        ] {
            assert!(
                matches!(token(text), Err(TokenFormatError::Claim(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn jws() {
        for text in ["", "a.b", "a.b.c.d", "not a token"] {
            let error = IdentityToken::parse(text).unwrap_err();
            assert!(matches!(error, TokenFormatError::Jws(_)), "{text}");
        }
    }

    #[test]
    fn s_56_debug_is_redacted() {
        let token = token(r#"{"iss":"i","sub":"CANARYSECRET","aud":"a","exp":1}"#).unwrap();
        assert_eq!(format!("{token:?}"), "IdentityToken(redacted)");
    }
}
