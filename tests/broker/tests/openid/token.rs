//! The token endpoint, ID tokens and the userinfo endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::Url;
use waxseal_crypto::sha256;
use waxseal_tests_broker::{Page, REDIRECT, Visitor};
use waxseal_transport::{Credential, Method, Request};

use crate::world::{ADDRESS, Rule, World, claims, is_error, part, rules};

pub(crate) fn rules() -> Vec<Rule> {
    rules! {
        token_answer_is_whole(w) {
            let code = w.code().await?;
            let page = w.token(&code, &[]).await?;
            assert_eq!(page.status, 200);
            assert_eq!(page.header("content-type"), "application/json");
            let tokens = page.json();
            assert!(tokens["id_token"].is_string() && tokens["access_token"].is_string());
            assert!(tokens["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"));
            assert!(tokens["expires_in"].as_u64().is_some_and(|seconds| seconds <= 300));
        }
        token_answer_is_kept_nowhere(w) {
            let code = w.code().await?;
            let page = w.token(&code, &[]).await?;
            assert_eq!(page.header("cache-control"), "no-store");
            assert_eq!(page.header("pragma"), "no-cache");
        }
        token_once(w) {
            let code = w.code().await?;
            assert_eq!(w.token(&code, &[]).await?.status, 200);
            is_error(&w.token(&code, &[]).await?, 400, "invalid_grant");
        }
        token_once_of_many_at_once(w) {
            let code = w.code().await?;
            let tries = (0..8).map(|_| {
                let (mut visitor, attempt) = (w.visitor.clone(), w.attempt.clone());
                let code = code.clone();
                tokio::spawn(async move { visitor.exchange(&attempt, &code).await })
            });
            let tries: Vec<_> = tries.collect();
            let mut won = 0;
            for one in tries {
                won += u32::from(one.await.unwrap()?.status == 200);
            }
            assert_eq!(won, 1);
        }
        token_within_a_minute(w) {
            let code = w.code().await?;
            w.stage.advance(61);
            is_error(&w.token(&code, &[]).await?, 400, "invalid_grant");
        }
        token_for_the_same_redirect(w) {
            for other in ["http://localhost:1/other", "http://localhost:2/auth/callback"] {
                w.refused(&[("redirect_uri", other)], 400, "invalid_grant").await?;
            }
            w.refused(&[("redirect_uri", "-")], 400, "invalid_request").await?;
        }
        token_for_the_same_client(w) {
            w.refused(&[("client_id", "other")], 401, "invalid_client").await?;
            w.refused(&[("client_id", "-")], 401, "invalid_client").await?;
        }
        token_for_the_verifier(w) {
            let other = "v".repeat(43);
            w.refused(&[("code_verifier", &other)], 400, "invalid_grant").await?;
        }
        token_for_a_verifier_that_is_one(w) {
            for bad in [String::new(), "v".repeat(42), "v".repeat(129), format!("{}!", "v".repeat(43))] {
                w.refused(&[("code_verifier", &bad)], 400, "invalid_request").await?;
            }
            w.refused(&[("code_verifier", "-")], 400, "invalid_request").await?;
        }
        token_for_a_code_that_is_known(w) {
            let code = w.code().await?;
            let other = format!("{}x", &code[..code.len() - 1]);
            is_error(&w.token(&other, &[]).await?, 400, "invalid_grant");
            is_error(&w.token("", &[("code", "-")]).await?, 400, "invalid_request");
        }
        token_with_a_parameter_without_value(w) {
            // It is as if it were not there.
            for name in ["code", "grant_type", "redirect_uri", "code_verifier"] {
                is_error(&w.token("x", &[(name, "")]).await?, 400, "invalid_request");
            }
        }
        token_spent_by_a_wrong_try(w) {
            let code = w.code().await?;
            let wrong = "v".repeat(43);
            is_error(&w.token(&code, &[("code_verifier", &wrong)]).await?, 400, "invalid_grant");
            is_error(&w.token(&code, &[]).await?, 400, "invalid_grant");
        }
        token_for_a_client_without_secret(w) {
            for form in [&[][..], &[("client_secret", "")]] {
                let code = w.code().await?;
                assert_eq!(w.token(&code, form).await?.status, 200);
            }
        }
        token_for_a_client_by_basic(w) {
            // With the id in the header alone, and with an empty secret in the form beside it.
            for form in ["", "&client_secret=", "&client_id=sigstore&client_secret="] {
                let page = by_basic(&mut w, "sigstore:", form).await?;
                assert_eq!(page.status, 200, "{}", page.body);
            }
        }
        token_for_a_wrong_secret(w) {
            w.refused(&[("client_secret", "x")], 401, "invalid_client").await?;
            for pair in ["sigstore:x", "other:", ":"] {
                let page = by_basic(&mut w, pair, "").await?;
                is_error(&page, 401, "invalid_client");
                assert!(page.header("www-authenticate").starts_with("Basic"));
            }
        }
        token_by_post_alone(w) {
            assert_eq!(w.get("/token").await?.status, 405);
        }
        token_by_a_form_alone(w) {
            let code = w.code().await?;
            let body = json!({"grant_type": "authorization_code", "client_id": "sigstore",
                "code": code, "redirect_uri": REDIRECT, "code_verifier": w.attempt.verifier});
            let url = Url::parse(&format!("{}/token", w.issuer)).unwrap();
            let request = Request::post(url, "application/json", body.to_string().into_bytes());
            let page = w.visitor.send(request).await?;
            assert!((400..500).contains(&page.status), "{}", page.status);
        }
        token_of_other_grants(w) {
            for kind in ["password", "client_credentials", "refresh_token", "implicit", "Authorization_Code"] {
                let page = w.token("", &[("grant_type", kind)]).await?;
                is_error(&page, 400, "unsupported_grant_type");
            }
            is_error(&w.token("", &[("grant_type", "-")]).await?, 400, "invalid_request");
        }
        token_with_a_parameter_twice(w) {
            let code = w.code().await?;
            let form = [("grant_type", "authorization_code"), ("code", code.as_str()),
                ("code", code.as_str()), ("client_id", "sigstore"), ("redirect_uri", REDIRECT),
                ("code_verifier", &w.attempt.verifier.clone())];
            let page = w.visitor.post(&format!("{}/token", w.issuer), &form).await?;
            is_error(&page, 400, "invalid_request");
        }
        token_ignores_unknown_parameters(w) {
            let code = w.code().await?;
            assert_eq!(w.token(&code, &[("x-new", "1")]).await?.status, 200);
        }
        token_errors_are_plain_ascii(w) {
            let page = w.token("\u{e9}\"\\", &[]).await?;
            is_error(&page, 400, "invalid_grant");
            let text = page.json()["error_description"].as_str().unwrap().to_owned();
            assert!(text.bytes().all(|c| (0x20..0x7f).contains(&c) && c != b'"' && c != b'\\'));
        }
        id_token_has_what_is_required(w) {
            let claims = w.claims().await?;
            assert_eq!(claims["iss"], w.issuer.as_str());
            assert_eq!(claims["aud"], "sigstore");
            let subject = claims["sub"].as_str().unwrap();
            assert!(!subject.is_empty() && subject.is_ascii() && subject.len() <= 255);
            assert!(claims["exp"].as_i64().unwrap() > claims["iat"].as_i64().unwrap());
        }
        id_token_names_its_key(w) {
            let tokens = w.tokens().await?;
            let header = part(&tokens["id_token"], 0);
            assert_eq!(header["alg"], "RS256");
            assert_eq!(header["typ"], "JWT");
            assert!(header["kid"].is_string());
            let names: Vec<_> = header.as_object().unwrap().keys().cloned().collect();
            assert_eq!(names, ["alg", "kid", "typ"], "nothing that could point elsewhere");
        }
        id_token_echoes_the_nonce(w) {
            let claims = w.claims().await?;
            assert_eq!(claims["nonce"], w.attempt.nonce.as_str());
        }
        id_token_without_nonce(w) {
            let answer = w.answer(&[("nonce", "-")]).await?;
            let page = w.token(&answer.parameter("code").unwrap(), &[]).await?;
            assert!(claims(&page.json()["id_token"]).get("nonce").is_none());
        }
        id_token_binds_the_access_token(w) {
            let tokens = w.tokens().await?;
            let digest = sha256(tokens["access_token"].as_str().unwrap().as_bytes());
            let expected = URL_SAFE_NO_PAD.encode(&digest[..16]);
            assert_eq!(claims(&tokens["id_token"])["at_hash"], expected);
        }
        id_token_says_when_the_person_was_there(w) {
            let answer = w.answer(&[("max_age", "60")]).await?;
            w.stage.advance(30);
            let page = w.token(&answer.parameter("code").unwrap(), &[]).await?;
            let claims = claims(&page.json()["id_token"]);
            let apart = claims["iat"].as_i64().unwrap() - claims["auth_time"].as_i64().unwrap();
            assert!((30..60).contains(&apart), "{apart}");
        }
        id_token_has_a_proven_address(w) {
            let claims = w.claims().await?;
            assert_eq!(claims["email"], ADDRESS);
            assert_eq!(claims["email_verified"], Value::Bool(true));
        }
        id_token_is_short_lived(w) {
            let tokens = w.tokens().await?;
            let claims = claims(&tokens["id_token"]);
            let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
            assert!((60..=300).contains(&life), "{life}");
            assert_eq!(tokens["expires_in"], life);
        }
        id_token_subject_is_the_persons(w) {
            let first = w.claims().await?["sub"].clone();
            assert_eq!(w.claims().await?["sub"], first, "stable");
            let mut other = World::new(w.stage.clone())?;
            let url = other.attempt.url();
            let page = other.visitor.visit(&url).await?;
            let answer = other.prove(&page, "somebody@example.com").await?;
            let page = other.token(&answer.parameter("code").unwrap(), &[]).await?;
            assert_ne!(claims(&page.json()["id_token"])["sub"], first, "nobody else's");
        }
        id_token_says_how_the_person_logged_in(w) {
            let claims = w.claims().await?;
            let federated = &claims["federated_claims"];
            assert_eq!(federated["connector_id"], w.issuer.as_str());
            assert!(federated["user_id"].is_string());
            // Dex's subject: base64url of the protobuf message of both.
            let bytes = URL_SAFE_NO_PAD.decode(claims["sub"].as_str().unwrap()).unwrap();
            let user = federated["user_id"].as_str().unwrap();
            let mut expected = vec![0x0a, u8::try_from(user.len()).unwrap()];
            expected.extend(user.as_bytes());
            expected.extend([0x12, u8::try_from(w.issuer.len()).unwrap()]);
            expected.extend(w.issuer.as_bytes());
            assert_eq!(bytes, expected);
        }
        access_token_is_an_identity_token_too(w) {
            let tokens = w.tokens().await?;
            let mut id = claims(&tokens["id_token"]);
            let id = id.as_object_mut().unwrap();
            id.remove("at_hash");
            assert_eq!(&claims(&tokens["access_token"]), &Value::Object(id.clone()));
        }
    }
}

/// The userinfo endpoint.
pub(crate) fn userinfo_rules() -> Vec<Rule> {
    rules! {
        userinfo_by_get_and_post(w) {
            let tokens = w.tokens().await?;
            for method in [Method::Get, Method::Post] {
                let page = userinfo(&mut w, method, tokens["access_token"].as_str()).await?;
                assert_eq!(page.status, 200, "{}", page.body);
                assert_eq!(page.header("content-type"), "application/json");
                assert_eq!(page.header("cache-control"), "no-store");
            }
        }
        userinfo_says_what_the_token_says(w) {
            let tokens = w.tokens().await?;
            let page = userinfo(&mut w, Method::Get, tokens["access_token"].as_str()).await?;
            let (about, claims) = (page.json(), claims(&tokens["id_token"]));
            for name in ["sub", "email", "email_verified", "federated_claims"] {
                assert_eq!(about[name], claims[name], "{name}");
            }
        }
        userinfo_without_a_token(w) {
            let page = userinfo(&mut w, Method::Get, None).await?;
            assert_eq!(page.status, 401);
            assert!(page.header("www-authenticate").starts_with("Bearer"));
            assert!(!page.header("www-authenticate").contains("error="));
        }
        userinfo_for_a_bad_token(w) {
            let tokens = w.tokens().await?;
            let good = tokens["access_token"].as_str().unwrap();
            let (head, signature) = good.rsplit_once('.').unwrap();
            let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
                good.split('.').nth(1).unwrap());
            let turned: String = signature.chars().rev().collect();
            for bad in ["x", &unsigned, head, &format!("{head}.{turned}")] {
                let page = userinfo(&mut w, Method::Get, Some(bad)).await?;
                assert_eq!(page.status, 401, "{bad}");
                assert!(page.header("www-authenticate").contains("invalid_token"));
            }
        }
        userinfo_for_an_old_token(w) {
            let tokens = w.tokens().await?;
            w.stage.advance(301);
            let page = userinfo(&mut w, Method::Get, tokens["access_token"].as_str()).await?;
            assert_eq!(page.status, 401);
            assert!(page.header("www-authenticate").contains("invalid_token"));
        }
        userinfo_takes_no_token_from_a_url(w) {
            let tokens = w.tokens().await?;
            let token = tokens["access_token"].as_str().unwrap().to_owned();
            let page = w.get(&format!("/userinfo?access_token={token}")).await?;
            assert_eq!(page.status, 401);
        }
    }
}

async fn userinfo(w: &mut World, method: Method, token: Option<&str>) -> Result<Page, String> {
    let url = Url::parse(&format!("{}/userinfo", w.issuer)).unwrap();
    let mut request = Request::new(method, url.clone());
    if let Some(token) = token {
        request = request.with_credential(Credential::bearer(&url, token));
    }
    Visitor::new()?.send(request).await
}

/// An exchange of a good code, the client in the header: as sigstore-python does.
async fn by_basic(w: &mut World, pair: &str, more: &str) -> Result<Page, String> {
    let code = w.code().await?;
    let verifier = &w.attempt.verifier;
    let body = format!(
        "grant_type=authorization_code&code={code}&code_verifier={verifier}&redirect_uri={}{more}",
        "http%3A%2F%2Flocalhost%3A1%2Fauth%2Fcallback"
    );
    let url = Url::parse(&format!("{}/token", w.issuer)).unwrap();
    let basic = format!("Basic {}", STANDARD.encode(pair));
    let request = Request::post(
        url.clone(),
        "application/x-www-form-urlencoded",
        body.into_bytes(),
    )
    .with_credential(Credential::authorization(&url, basic));
    Visitor::new()?.send(request).await
}
