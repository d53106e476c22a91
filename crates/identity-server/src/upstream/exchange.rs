//! The code becomes a token (RFC 6749 §4.1.3, RFC 7636 §4.5).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use url::form_urlencoded;
use waxseal_crypto::sha256;
use waxseal_identity::parse_json;
use waxseal_transport::{Credential, Request, Response};
use zeroize::Zeroizing;

use super::{Endpoints, Upstream, UpstreamError, Visit, repeatable};
use crate::connector::ConnectorKind;
use crate::parameters::Parameters;

/// Longest answer in bytes: some tokens, an account, a list of addresses.
pub(super) const MAX_ANSWER: usize = 64 * 1024;

/// What a token endpoint gives.
pub(crate) struct TokenAnswer {
    pub(super) access_token: Zeroizing<String>,
    pub(super) id_token: Option<Zeroizing<String>>,
    /// What was granted, if the provider says.
    pub(super) scope: Option<String>,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenAnswer(redacted)")
    }
}

/// `BASE64URL(SHA256(verifier))` (RFC 7636 §4.2).
pub(super) fn code_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))
}

impl Upstream {
    /// The code of the redirect, once it is sure to be from this provider.
    pub(crate) fn code_of(
        &self,
        endpoints: &Endpoints,
        callback: &Parameters,
    ) -> Result<Zeroizing<String>, UpstreamError> {
        // Before `error` is believed: an answer of another issuer says nothing (RFC 9207 §2.4).
        match (callback.value("iss"), &endpoints.issuer) {
            (Some(found), Some(expected)) if found != expected => {
                return Err(UpstreamError::WrongIssuer);
            }
            (None, _) if endpoints.announces_iss => return Err(UpstreamError::WrongIssuer),
            _ => {}
        }
        match callback.value("error") {
            Some("access_denied") => Err(UpstreamError::Denied),
            Some(code) => Err(UpstreamError::Refused(repeatable(code))),
            None => {
                let code = callback.value("code").ok_or(UpstreamError::NoCode)?;
                Ok(Zeroizing::new(code.to_owned()))
            }
        }
    }

    pub(super) fn token_request(
        &self,
        endpoints: &Endpoints,
        visit: &Visit,
        code: &str,
    ) -> Request {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.redirect_uri);
        if endpoints.pkce {
            form.append_pair("code_verifier", &visit.verifier);
        }
        let basic = endpoints.basic && self.secret.is_some();
        if !basic {
            form.append_pair("client_id", &self.config.client_id);
            if let Some(secret) = &self.secret {
                form.append_pair("client_secret", secret);
            }
        }
        let request = Request::post(
            endpoints.token.clone(),
            "application/x-www-form-urlencoded",
            form.finish().into_bytes(),
        )
        // GitHub answers with a form otherwise.
        .with_header("Accept", "application/json")
        .with_max_response(MAX_ANSWER);
        match &self.secret {
            Some(secret) if basic => {
                let value = basic_value(&self.config.client_id, secret);
                request.with_credential(Credential::authorization(&endpoints.token, value))
            }
            _ => request,
        }
    }

    /// Exchanges the code.
    pub(crate) async fn exchange(
        &self,
        endpoints: &Endpoints,
        visit: &Visit,
        code: &str,
    ) -> Result<TokenAnswer, UpstreamError> {
        let request = self.token_request(endpoints, visit, code);
        let answer = self.transport.send(request).await;
        token_answer(&answer.map_err(UpstreamError::Unreachable)?)
    }

    /// Asks an endpoint with the access token.
    pub(super) async fn ask(
        &self,
        url: url::Url,
        access_token: &str,
        scope: &'static str,
    ) -> Result<Value, UpstreamError> {
        let accept = match self.config.kind {
            ConnectorKind::Github => "application/vnd.github+json",
            _ => "application/json",
        };
        let credential = Credential::bearer(&url, access_token);
        let request = Request::get(url)
            .with_header("Accept", accept)
            .with_credential(credential)
            .with_max_response(MAX_ANSWER);
        let answer = self.transport.send(request).await;
        let answer = answer.map_err(UpstreamError::Unreachable)?;
        match answer.status {
            200 => parse_json(&answer.body, MAX_ANSWER)
                .map_err(|_| UpstreamError::Malformed("answer about the account")),
            403 | 404 if !scope.is_empty() => Err(UpstreamError::MissingScope(scope)),
            status => Err(UpstreamError::Status(status)),
        }
    }
}

/// Reads the token endpoint's answer. GitHub refuses with status 200, Facebook with an object.
fn token_answer(answer: &Response) -> Result<TokenAnswer, UpstreamError> {
    let object = match parse_json(&answer.body, MAX_ANSWER) {
        Ok(Value::Object(object)) => object,
        _ if answer.status == 200 => return Err(UpstreamError::Malformed("token answer")),
        _ => return Err(UpstreamError::Status(answer.status)),
    };
    if let Some(code) = error_code(&object) {
        return Err(UpstreamError::Exchange(code));
    }
    if answer.status != 200 {
        return Err(UpstreamError::Status(answer.status));
    }
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let secret = |name: &str| text(name).map(|text| Zeroizing::new(text.to_owned()));
    let bearer = text("token_type").is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    let access_token = secret("access_token").filter(|token| bearer && is_token(token));
    Ok(TokenAnswer {
        access_token: access_token.ok_or(UpstreamError::Malformed("token answer"))?,
        id_token: secret("id_token"),
        scope: text("scope").map(str::to_owned),
    })
}

/// The `error` of an answer: RFC 6749's string, or Facebook's object with a number.
pub(super) fn error_code(object: &Map<String, Value>) -> Option<String> {
    match object.get("error")? {
        Value::String(code) => Some(repeatable(code)),
        Value::Object(error) => {
            let number = error.get("code").and_then(Value::as_i64);
            Some(number.map_or_else(|| "error".to_owned(), |number| number.to_string()))
        }
        _ => Some("error".to_owned()),
    }
}

/// What may stand in a header (RFC 6750 §2.1).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic())
}

/// Both halves form-encoded, then base64 (RFC 6749 §2.3.1).
fn basic_value(client_id: &str, secret: &str) -> String {
    let encode = |text: &str| {
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        Zeroizing::new(encoded)
    };
    let pair = Zeroizing::new(format!("{}:{}", *encode(client_id), *encode(secret)));
    format!("Basic {}", STANDARD.encode(pair.as_bytes()))
}

#[cfg(test)]
mod tests {
    use waxseal_transport::Headers;

    use super::*;

    fn check(status: u16, body: &str, expected: &str) {
        let answer = Response::new(status, Headers::new(), body.as_bytes().to_vec());
        let found = match token_answer(&answer) {
            Ok(answer) => format!("ok {}", *answer.access_token),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn answers_of_token_endpoints() {
        check(200, r#"{"access_token":"t","token_type":"Bearer"}"#, "ok t");
        check(200, r#"{"access_token":"t"}"#, "ok t");
        check(
            200,
            r#"{"error":"bad_verification_code"}"#,
            "Exchange(\"bad_verification_code\")",
        );
        check(
            401,
            r#"{"error":"invalid_client"}"#,
            "Exchange(\"invalid_client\")",
        );
        check(
            400,
            r#"{"error":{"code":100,"message":"x"}}"#,
            "Exchange(\"100\")",
        );
        check(400, "{}", "Status(400)");
        check(500, "<html>", "Status(500)");
        let malformed = "Malformed(\"token answer\")";
        for body in [
            "",
            "[]",
            "access_token=t",
            r#"{"access_token":7}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"a\r\nb"}"#,
            r#"{"access_token":"t","token_type":"mac"}"#,
            r#"{"access_token":"t","access_token":"u"}"#,
        ] {
            check(200, body, malformed);
        }
    }

    #[test]
    fn s_56_a_token_answer_shows_nothing() {
        let body = br#"{"access_token":"CANARYSECRET","id_token":"CANARYSECRET"}"#;
        let answer = Response::new(200, Headers::new(), body.to_vec());
        assert_eq!(
            format!("{:?}", token_answer(&answer).unwrap()),
            "TokenAnswer(redacted)"
        );
    }

    #[test]
    fn a_secret_is_encoded_in_basic() {
        // "a%3Ab" ":" "c%2B%C3%BC"
        assert_eq!(basic_value("a:b", "c+ü"), "Basic YSUzQWI6YyUyQiVDMyVCQw==");
    }
}
