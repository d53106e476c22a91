//! The authorization endpoint.

use url::Url;
use waxseal_tests_broker::{REDIRECT, Visitor};

use crate::world::{ADDRESS, Rule, rules};

pub(crate) fn rules() -> Vec<Rule> {
    rules! {
        authorization_by_get(w) {
            let answer = w.answer(&[]).await?;
            assert!(answer.parameter("code").is_some_and(|code| code.len() >= 22));
        }
        authorization_by_post(w) {
            let parameters = w.attempt.parameters();
            let form: Vec<_> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let begun = w.visitor.post(&format!("{}/auth", w.issuer), &form).await?;
            let page = w.visitor.follow(begun).await?;
            let answer = w.prove(&page, ADDRESS).await?;
            assert!(answer.parameter("code").is_some());
        }
        authorization_answers_by_303(w) {
            assert_eq!(w.answer(&[]).await?.status, 303);
        }
        authorization_echoes_the_state(w) {
            let state = "a b&c=d%e+f/\u{e9}";
            let answer = w.answer(&[("state", state)]).await?;
            assert_eq!(answer.parameter("state").as_deref(), Some(state));
        }
        authorization_without_state(w) {
            let answer = w.answer(&[("state", "-")]).await?;
            assert!(answer.parameter("code").is_some());
            assert_eq!(answer.parameter("state"), None);
        }
        authorization_answers_in_the_query(w) {
            let location = w.answer(&[]).await?.location().unwrap();
            assert!(location.as_str().starts_with(&format!("{REDIRECT}?")));
            assert_eq!(location.fragment(), None);
        }
        authorization_says_who_answers(w) {
            let answer = w.answer(&[]).await?;
            assert_eq!(answer.parameter("iss"), Some(w.issuer.clone()));
        }
        authorization_keeps_the_query_of_a_redirect(w) {
            let redirect = format!("{REDIRECT}?keep=me");
            let answer = w.answer(&[("redirect_uri", &redirect)]).await?;
            assert_eq!(answer.parameter("keep").as_deref(), Some("me"));
            assert!(answer.parameter("code").is_some());
        }
        authorization_of_any_loopback_port_and_path(w) {
            for redirect in ["http://localhost:49152", "http://127.0.0.1:8/callback",
                "http://[::1]:61023/auth/callback"] {
                let mut visitor = Visitor::new()?;
                let url = w.attempt.url_with(&[("redirect_uri", redirect)]);
                let page = visitor.visit(&url).await?;
                assert_eq!(page.status, 200, "{redirect}");
            }
        }
        authorization_never_redirects_elsewhere(w) {
            for redirect in ["https://evil.example/", "http://localhost.evil.example/",
                "http://127.0.0.1@evil.example/", "https://localhost/", "http://localhost:1/%0d%0aX:",
                "http://localhost:1/#fragment", "javascript:alert(1)", "//evil.example", "-"] {
                w.stays(&[("redirect_uri", redirect)]).await?;
            }
        }
        authorization_of_an_unknown_client(w) {
            for client in ["other", "", "Sigstore", "-"] {
                w.stays(&[("client_id", client)]).await?;
            }
        }
        authorization_without_response_type(w) {
            w.returned(&[("response_type", "-")], "invalid_request").await?;
        }
        authorization_of_other_response_types(w) {
            for kind in ["token", "id_token", "code id_token", "code token", "none", "CODE"] {
                w.returned(&[("response_type", kind)], "unsupported_response_type").await?;
            }
        }
        authorization_of_other_response_modes(w) {
            for mode in ["fragment", "form_post"] {
                w.returned(&[("response_mode", mode)], "invalid_request").await?;
            }
            assert!(w.answer(&[("response_mode", "query")]).await?.parameter("code").is_some());
        }
        authorization_without_openid(w) {
            for scope in ["-", "email", "openidx email"] {
                w.returned(&[("scope", scope)], "invalid_scope").await?;
            }
        }
        authorization_ignores_unknown_scopes(w) {
            let answer = w.answer(&[("scope", "openid email groups offline_access")]).await?;
            assert!(answer.parameter("code").is_some());
        }
        authorization_ignores_unknown_parameters(w) {
            let answer = w.answer(&[("access_type", "online"), ("x-new", "1")]).await?;
            assert!(answer.parameter("code").is_some());
        }
        authorization_without_pkce(w) {
            for change in [("code_challenge", "-"), ("code_challenge", "short"),
                ("code_challenge_method", "-"), ("code_challenge_method", "plain")] {
                w.returned(&[change], "invalid_request").await?;
            }
        }
        authorization_with_a_parameter_twice(w) {
            for name in ["state", "redirect_uri", "client_id", "code_challenge", "scope"] {
                let url = Url::parse_with_params(&w.attempt.url(), [(name, "x")]).unwrap();
                let page = w.visitor.get(url.as_str()).await?;
                assert_eq!(page.status, 400, "{name}");
                assert_eq!(page.location(), None);
            }
        }
        authorization_without_a_person(w) {
            w.returned(&[("prompt", "none")], "login_required").await?;
            w.returned(&[("prompt", "none login")], "login_required").await?;
        }
        authorization_with_a_prompt(w) {
            let answer = w.answer(&[("prompt", "login")]).await?;
            assert!(answer.parameter("code").is_some());
        }
        authorization_by_request_object(w) {
            w.returned(&[("request", "eyJhbGciOiJub25lIn0.e30.")], "request_not_supported").await?;
            w.returned(&[("request_uri", "https://evil.example/r")], "request_uri_not_supported")
                .await?;
        }
        authorization_with_a_hint(w) {
            let url = w.attempt.url_with(&[("login_hint", "\"<you@example.com>")]);
            let page = w.visitor.visit(&url).await?;
            let (_, fields) = page.form("email").unwrap();
            assert_eq!(fields["email"], "\"<you@example.com>");
            assert!(!page.body.contains("<you@"), "the hint is escaped");
        }
        authorization_of_an_unknown_connector(w) {
            w.returned(&[("connector_id", "https://evil.example")], "invalid_request").await?;
        }
        authorization_cancelled_by_the_person(w) {
            let url = w.attempt.url();
            let page = w.visitor.visit(&url).await?;
            let (_, fields) = page.form("email").unwrap();
            let form = [("request", fields["request"].as_str())];
            let cancel = format!("{}/auth/email/cancel", w.issuer);
            let answer = w.visitor.post(&cancel, &form).await?;
            assert_eq!(answer.parameter("error").as_deref(), Some("access_denied"));
            assert_eq!(answer.parameter("state"), Some(w.attempt.state.clone()));
            assert_eq!(answer.parameter("iss"), Some(w.issuer.clone()));
        }
        authorization_pages_are_kept_nowhere(w) {
            let url = w.attempt.url();
            let page = w.visitor.visit(&url).await?;
            assert_eq!(page.header("cache-control"), "no-store");
            assert_eq!(page.header("x-frame-options"), "DENY");
            let policy = page.header("content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
            assert!(policy.contains("default-src 'none'"));
            assert!(["no-referrer", "same-origin"].contains(&page.header("referrer-policy")));
        }
        authorization_asks_every_time(w) {
            w.answer(&[]).await?;
            let url = w.attempt.url();
            let again = w.visitor.visit(&url).await?;
            assert!(again.form("email").is_some(), "no session logs anybody in");
        }
    }
}
