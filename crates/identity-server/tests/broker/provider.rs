//! A provider in process: it speaks OAuth 2.0 and OpenID Connect at whatever paths it is asked,
//! and misbehaves where a test says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use waxseal_crypto::{Time, sha256};
use waxseal_identity::sign_jws;
use waxseal_identity_server::{Config, ConnectorConfig, ConnectorKind, KeyRing, MailConfig};

use crate::internet::Internet;
use crate::world::{
    Answer, Browser, CLIENT_SECRET, ISSUER, NOW, Pkce, World, outbox, signer, world,
};

pub(crate) const CLIENT: &str = "client-7";

/// What a test may change.
pub(crate) struct Script {
    /// The issuer of ID tokens and of the discovery document.
    pub(crate) issuer: String,
    /// Claims of the ID token beside `iss`, `aud`, `exp`, `iat`, `nonce`; the same names win.
    pub(crate) claims: Value,
    /// Members of the discovery document; the same names win.
    pub(crate) discovery: Value,
    /// Answers by path, for whoever has an access token.
    pub(crate) about: HashMap<&'static str, (u16, Value)>,
    /// Answer of the token endpoint in place of a good one.
    pub(crate) token: Option<(u16, String)>,
    /// Members of the token answer; the same names win, and `null` removes.
    pub(crate) token_members: Value,
    /// The only redirect URI that is registered.
    pub(crate) redirect_uri: String,
}

/// One visit: what the browser brought.
struct Visit {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

/// A provider.
pub(crate) struct Provider {
    pub(crate) script: Mutex<Script>,
    visits: Mutex<HashMap<String, Visit>>,
    /// Every form that came to the token endpoint, with its `Authorization`.
    pub(crate) forms: Mutex<Vec<HashMap<String, String>>>,
}

impl Provider {
    pub(crate) fn new(issuer: &str) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(Script {
                issuer: issuer.to_owned(),
                claims: json!({}),
                discovery: json!({}),
                about: HashMap::new(),
                token: None,
                token_members: json!({}),
                redirect_uri: String::new(),
            }),
            visits: Mutex::default(),
            forms: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// Serves it at these origins.
    pub(crate) fn serve(self: &Arc<Self>, internet: &Internet, origins: &[&str]) {
        for origin in origins {
            let provider = Arc::clone(self);
            let router = Router::new().fallback(move |request: Request| {
                let provider = Arc::clone(&provider);
                async move { provider.answer(request).await }
            });
            internet.add(origin, router);
        }
    }

    /// The person agrees: the code that the provider's redirect carries.
    pub(crate) fn agree(&self, authorization: &Url) -> String {
        let value = |name: &str| {
            let found = authorization.query_pairs().find(|(known, _)| known == name);
            found.map_or_else(String::new, |(_, value)| value.into_owned())
        };
        let mut visits = self.visits.lock().unwrap();
        let code = format!("CANARYSECRET-upstream-code-{}", visits.len());
        let visit = Visit {
            nonce: value("nonce"),
            challenge: value("code_challenge"),
            redirect_uri: value("redirect_uri"),
        };
        visits.insert(code.clone(), visit);
        code
    }

    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let authorization = head.headers.get(header::AUTHORIZATION);
        let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
        if path.ends_with("/.well-known/openid-configuration") {
            return json_of(200, &self.discovery());
        }
        if path.ends_with("/keys") {
            let ring = KeyRing::new(signer()).unwrap();
            let now = Time::from_unix(NOW).unwrap();
            return json_of(200, &ring.published(now).to_json());
        }
        if head.method == "POST" {
            return self.token(&body, authorization.as_deref()).await;
        }
        if path.contains("authorize") || path.contains("dialog") {
            return self.authorize(&head.uri.to_string());
        }
        let script = self.script.lock().unwrap();
        let about = script
            .about
            .iter()
            .find(|(known, _)| path.ends_with(**known));
        match about {
            Some((_, (status, value))) => {
                let bearer = authorization.unwrap_or_default();
                assert!(
                    bearer.starts_with("Bearer CANARYSECRET-upstream-token"),
                    "{path}"
                );
                json_of(*status, value)
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn discovery(&self) -> Value {
        let script = self.script.lock().unwrap();
        let issuer = &script.issuer;
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
        });
        merge(&mut document, &script.discovery);
        document
    }

    /// A log-in page, or what a provider answers to `prompt=none`.
    fn authorize(&self, target: &str) -> Response {
        let url = Url::parse("https://x.example")
            .unwrap()
            .join(target)
            .unwrap();
        let value = |name: &str| {
            let found = url.query_pairs().find(|(known, _)| known == name);
            found.map_or_else(String::new, |(_, value)| value.into_owned())
        };
        let script = self.script.lock().unwrap();
        if value("client_id") != CLIENT {
            return (StatusCode::BAD_REQUEST, "invalid_client: client is invalid").into_response();
        }
        if value("redirect_uri") != script.redirect_uri {
            let text = "redirect_uri did not match any of the client's registered redirect_uris";
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
        if value("prompt") == "none" {
            let offered = &script.discovery["offered"];
            let error = if offered == "nothing" {
                "invalid_scope"
            } else {
                "login_required"
            };
            let location = format!(
                "{}?error={error}&state={}",
                script.redirect_uri,
                value("state")
            );
            return (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
        }
        let location = "https://x.example/login".to_owned();
        (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
    }

    async fn token(&self, body: &[u8], authorization: Option<&str>) -> Response {
        let mut form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        if let Some(value) = authorization {
            let value = value.strip_prefix("Basic ").unwrap();
            let pair = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
            let (id, secret) = pair.split_once(':').unwrap();
            let decode = |text: &str| {
                let mut pairs = form_urlencoded::parse(text.as_bytes());
                pairs
                    .next()
                    .map_or_else(String::new, |(name, _)| name.into_owned())
            };
            form.insert("client_id".to_owned(), decode(id));
            form.insert("client_secret".to_owned(), decode(secret));
            form.insert("basic".to_owned(), "yes".to_owned());
        }
        self.forms.lock().unwrap().push(form.clone());
        let value = |name: &str| form.get(name).cloned().unwrap_or_default();
        let (token, issuer, claims, members) = {
            let script = self.script.lock().unwrap();
            (
                script.token.clone(),
                script.issuer.clone(),
                script.claims.clone(),
                script.token_members.clone(),
            )
        };
        if let Some((status, text)) = token {
            return (StatusCode::from_u16(status).unwrap(), text).into_response();
        }
        if value("client_id") != CLIENT || value("client_secret") != CLIENT_SECRET {
            return json_of(401, &json!({"error": "invalid_client"}));
        }
        let visit = self.visits.lock().unwrap().remove(&value("code"));
        let Some(visit) = visit else {
            return json_of(400, &json!({"error": "invalid_grant"}));
        };
        let challenge = URL_SAFE_NO_PAD.encode(sha256(value("code_verifier").as_bytes()));
        if visit.redirect_uri != value("redirect_uri")
            || (!visit.challenge.is_empty() && visit.challenge != challenge)
        {
            return json_of(400, &json!({"error": "invalid_grant"}));
        }
        let mut payload = json!({
            "iss": issuer,
            "aud": CLIENT,
            "sub": "subject-1",
            "iat": NOW,
            "exp": NOW + 3600,
            "nonce": visit.nonce,
        });
        merge(&mut payload, &claims);
        let signer = signer();
        let ring = KeyRing::new(Arc::clone(&signer)).unwrap();
        let published = ring.published(Time::from_unix(NOW).unwrap());
        let key_id = published.keys()[0].key_id().unwrap().to_owned();
        let payload = payload.to_string();
        let id_token = sign_jws(&*signer, &key_id, payload.as_bytes());
        let mut answer = json!({
            "access_token": "CANARYSECRET-upstream-token",
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": id_token.await.unwrap(),
        });
        merge(&mut answer, &members);
        json_of(200, &answer)
    }
}

fn json_of(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response()
}

fn merge(into: &mut Value, from: &Value) {
    for (name, value) in from.as_object().unwrap() {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            into[name] = value.clone();
        }
    }
}

/// A connector of a type, open to `example.com`.
pub(crate) fn connector(kind: ConnectorKind) -> ConnectorConfig {
    let mut config = ConnectorConfig::new(kind, CLIENT);
    config.client_secret_env = Some("CLIENT_SECRET".to_owned());
    config.allow_domains.push("example.com".to_owned());
    config
}

/// A broker with these connectors and the e-mail code beside them.
pub(crate) fn with(connectors: &[ConnectorConfig]) -> Config {
    let mut config = outbox();
    config.connectors = connectors.to_vec();
    config
}

/// A broker with one connector, and its provider.
pub(crate) async fn site(config: &ConnectorConfig) -> (World, Arc<Provider>) {
    site_with(config, |_| {}).await
}

pub(crate) async fn site_with(
    config: &ConnectorConfig,
    change: impl FnOnce(&mut Config),
) -> (World, Arc<Provider>) {
    let mut broker = with(std::slice::from_ref(config));
    broker.mail = MailConfig::None;
    if config.kind == ConnectorKind::Facebook {
        (broker.mail, broker.email_login) = (MailConfig::Outbox, false);
    }
    change(&mut broker);
    let world = world(broker).await;
    let provider = of_kind(config, &world);
    (world, provider)
}

/// The provider of a connector, at the addresses that it is known for.
pub(crate) fn of_kind(config: &ConnectorConfig, world: &World) -> Arc<Provider> {
    let good = json!({"email": "you@example.com", "email_verified": true});
    let (issuer, origins): (&str, &[&str]) = match config.kind {
        ConnectorKind::Google => (
            "https://accounts.google.com",
            &[
                "https://accounts.google.com",
                "https://oauth2.googleapis.com",
                "https://www.googleapis.com",
            ],
        ),
        ConnectorKind::Github => ("", &["https://github.com", "https://api.github.com"]),
        ConnectorKind::Microsoft => ("", &["https://login.microsoftonline.com"]),
        ConnectorKind::Facebook => (
            "",
            &["https://www.facebook.com", "https://graph.facebook.com"],
        ),
        _ => ("https://id.example", &["https://id.example"]),
    };
    let provider = Provider::new(issuer);
    provider.serve(&world.internet, origins);
    let redirect_uri = config.redirect_uri(ISSUER);
    provider.set(|script| {
        script.redirect_uri = redirect_uri;
        script.claims = good;
        match config.kind {
            ConnectorKind::Google => {
                // As they are: three hosts.
                script.discovery = json!({
                    "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/authorize",
                    "token_endpoint": "https://oauth2.googleapis.com/token",
                    "jwks_uri": "https://www.googleapis.com/keys",
                });
            }
            ConnectorKind::Github => {
                let emails =
                    json!([{"email": "you@example.com", "primary": true, "verified": true}]);
                let user = json!({"id": 583_231, "login": "octocat", "email": null});
                script.about.insert("/user/emails", (200, emails));
                script.about.insert("/user", (200, user));
                script.token_members = json!({"scope": "user:email", "id_token": null});
            }
            ConnectorKind::Microsoft => {
                let tenant = config.tenant.as_deref().unwrap_or("organizations");
                script.issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
                script.claims = json!({"email": "you@example.com", "tid": tenant});
                script.discovery = json!({"code_challenge_methods_supported": null});
            }
            ConnectorKind::Facebook => {
                let me = json!({"id": "10", "email": "you@example.com"});
                script.about.insert("/me", (200, me));
                script.token_members = json!({"id_token": null});
            }
            ConnectorKind::Oauth2 => {
                let me = json!({"sub": "7", "email": "you@example.com", "email_verified": true});
                script.about.insert("/userinfo", (200, me));
                script.token_members = json!({"id_token": null});
            }
            _ => {}
        }
    });
    provider
}

impl Browser {
    /// Begins a log-in and goes to a provider: the URL that the provider is asked with.
    pub(crate) async fn leave(&mut self, world: &World, name: &str) -> Url {
        let answer = self
            .get(world, &format!("/auth/auth?{}", Pkce::default().query()))
            .await;
        let request = answer.parameter("request").expect("a log-in began");
        self.leave_from(world, name, &request).await
    }

    pub(crate) async fn leave_from(&mut self, world: &World, name: &str, request: &str) -> Url {
        let answer = self
            .get(world, &format!("/auth/auth/{name}?request={request}"))
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        assert!(
            !answer.header("location").contains(request),
            "the secret stays here"
        );
        Url::parse(answer.header("location")).expect("the provider's URL")
    }

    /// Comes back from a provider.
    pub(crate) async fn come_back(
        &mut self,
        world: &World,
        name: &str,
        query: &[(&str, &str)],
    ) -> Answer {
        let query = crate::world::encode(query);
        let url = format!("/auth/callback/{name}?{query}");
        let answer = self.get(world, &url).await;
        // Whether one is asked, and what, is for the tests of public instances to see.
        if world.public_log || !answer.header("location").contains("/auth/auth/confirm?") {
            return answer;
        }
        self.go_on(world, &answer).await
    }

    /// Agrees to the page that says who signs.
    pub(crate) async fn go_on(&mut self, world: &World, answer: &Answer) -> Answer {
        let request = answer.parameter("request").expect("a page of the log-in");
        let form = [("request", request.as_str())];
        self.post(world, "/auth/auth/confirm", &form).await
    }

    /// A whole visit: leaves, agrees, and comes back.
    pub(crate) async fn visit(&mut self, world: &World, provider: &Provider, name: &str) -> Answer {
        let url = self.leave(world, name).await;
        let code = provider.agree(&url);
        self.come_back(world, name, &[("code", &code), ("state", &state_of(&url))])
            .await
    }
}

pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    let found = url.query_pairs().find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

pub(crate) fn state_of(url: &Url) -> String {
    parameter(url, "state").unwrap()
}

/// The claims of the token that a log-in ends with.
pub(crate) async fn claims_of(world: &World, answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let code = answer.parameter("code").expect("a code");
    let tokens = world.token(&Pkce::default().form(&code)).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    let token = tokens.json()["id_token"].as_str().unwrap().to_owned();
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
