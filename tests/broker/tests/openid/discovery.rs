//! Discovery and the key set.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use waxseal_crypto::sha256;

use crate::world::{Rule, part, rules};

pub(crate) fn rules() -> Vec<Rule> {
    rules! {
        discovery_is_where_it_belongs(w) {
            let page = w.get("/.well-known/openid-configuration").await?;
            assert_eq!(page.status, 200);
            assert_eq!(page.header("content-type"), "application/json");
        }
        discovery_names_the_issuer_exactly(w) {
            assert_eq!(w.discovery().await?["issuer"], w.issuer.as_str());
        }
        discovery_has_what_is_required(w) {
            let found = w.discovery().await?;
            for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"] {
                assert!(found[name].is_string(), "{name}: {found}");
            }
            for name in ["response_types_supported", "subject_types_supported",
                "id_token_signing_alg_values_supported", "scopes_supported", "claims_supported"] {
                assert!(found[name].as_array().is_some_and(|list| !list.is_empty()), "{name}");
            }
        }
        discovery_has_no_empty_list(w) {
            let found = w.discovery().await?;
            for (name, value) in found.as_object().unwrap() {
                assert!(value.as_array().is_none_or(|list| !list.is_empty()), "{name}");
            }
        }
        discovery_offers_rs256_and_never_none(w) {
            let found = w.discovery().await?;
            let algorithms = found["id_token_signing_alg_values_supported"].as_array().unwrap();
            assert!(algorithms.contains(&json!("RS256")), "{algorithms:?}");
            assert!(!algorithms.contains(&json!("none")));
        }
        discovery_offers_codes_alone(w) {
            let found = w.discovery().await?;
            assert_eq!(found["response_types_supported"], json!(["code"]));
            assert_eq!(found["response_modes_supported"], json!(["query"]));
            let grants = found["grant_types_supported"].as_array().unwrap();
            assert!(grants.contains(&json!("authorization_code")));
            assert!(!grants.contains(&json!("implicit")) && !grants.contains(&json!("password")));
        }
        discovery_offers_s256_alone(w) {
            let found = w.discovery().await?;
            assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
        }
        discovery_offers_the_scope_openid(w) {
            let scopes = w.discovery().await?["scopes_supported"].clone();
            assert!(scopes.as_array().unwrap().contains(&json!("openid")));
        }
        discovery_announces_iss(w) {
            let found = w.discovery().await?;
            assert_eq!(found["authorization_response_iss_parameter_supported"], true);
        }
        discovery_denies_request_uri(w) {
            assert_eq!(w.discovery().await?["request_uri_parameter_supported"], false);
        }
        discovery_lists_the_claims_of_a_token(w) {
            let listed = w.discovery().await?["claims_supported"].clone();
            let claims = w.claims().await?;
            for name in claims.as_object().unwrap().keys() {
                assert!(listed.as_array().unwrap().contains(&json!(name)), "{name}");
            }
        }
        discovery_names_endpoints_that_are_there(w) {
            let found = w.discovery().await?;
            let endpoints = found.as_object().unwrap().iter().filter(|(name, _)| {
                name.ends_with("_endpoint") || *name == "jwks_uri"
            });
            let mut count = 0;
            for (name, url) in endpoints {
                let url = url.as_str().unwrap();
                assert!(url.starts_with(&w.issuer), "{name} is {url}");
                let page = w.visitor.get(url).await?;
                assert_ne!(page.status, 404, "{name}");
                count += 1;
            }
            assert!(count >= 4, "{count} endpoints");
        }
        discovery_may_be_kept_a_while(w) {
            let page = w.get("/.well-known/openid-configuration").await?;
            assert!(max_age(page.header("cache-control")).is_some_and(|age| age <= 600));
        }
        keys_are_a_key_set(w) {
            let page = w.get("/keys").await?;
            assert_eq!(page.status, 200);
            let keys = w.keys().await?;
            assert!(!keys.is_empty());
            for key in &keys {
                for name in ["kty", "kid", "use", "alg"] {
                    assert!(key[name].is_string(), "{name}: {key}");
                }
                assert_eq!(key["use"], "sig");
            }
        }
        keys_hold_nothing_private(w) {
            for key in w.keys().await? {
                for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                    assert!(key.get(name).is_none(), "{name}: {key}");
                }
            }
        }
        keys_are_named_by_their_thumbprint(w) {
            let keys = w.keys().await?;
            let names: BTreeSet<_> = keys.iter().map(|key| key["kid"].to_string()).collect();
            assert_eq!(names.len(), keys.len(), "one name for two keys");
            for key in keys {
                // RFC 7638 §3.2: required members only, in order, no space.
                let text = match key["kty"].as_str() {
                    Some("RSA") => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, key["e"], key["n"]),
                    _ => format!(
                        r#"{{"crv":{},"kty":"EC","x":{},"y":{}}}"#, key["crv"], key["x"], key["y"]
                    ),
                };
                assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode(sha256(text.as_bytes())));
            }
        }
        keys_are_long_enough(w) {
            for key in w.keys().await?.iter().filter(|key| key["kty"] == "RSA") {
                let n = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
                assert!(n.len() >= 256 && n[0] != 0, "{} bytes", n.len());
            }
        }
        keys_may_be_kept_a_while(w) {
            let page = w.get("/keys").await?;
            assert!(max_age(page.header("cache-control")).is_some_and(|age| age <= 600));
        }
        keys_verify_both_tokens(w) {
            let tokens = w.tokens().await?;
            for name in ["id_token", "access_token"] {
                let header = part(&tokens[name], 0);
                let keys = w.keys().await?;
                let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
                assert_eq!(key["alg"], header["alg"]);
                verified(&tokens[name], key, &w.issuer)?;
                let mut forged = tokens[name].as_str().unwrap().to_owned();
                let last = forged.pop().unwrap();
                forged.insert(forged.rfind('.').unwrap() + 1, last);
                assert!(verified(&json!(forged), key, &w.issuer).is_err());
            }
        }
    }
}

/// By a library that others wrote.
fn verified(token: &Value, key: &Value, issuer: &str) -> Result<Value, String> {
    let (n, e) = (key["n"].as_str().unwrap(), key["e"].as_str().unwrap());
    let key = DecodingKey::from_rsa_components(n, e).map_err(|e| e.to_string())?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&["sigstore"]);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    let decoded = jsonwebtoken::decode::<Value>(token.as_str().unwrap(), &key, &rules);
    decoded.map(|data| data.claims).map_err(|e| e.to_string())
}

fn max_age(field: &str) -> Option<u64> {
    let (_, rest) = field.split_once("max-age=")?;
    rest.split(',').next()?.trim().parse().ok()
}
