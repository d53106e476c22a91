//! A broker, a person and a client, for one rule.

use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use waxseal_tests_broker::{Attempt, Page, Stage, Visitor};

/// A test that runs to its end, or says why not.
pub(crate) type Test = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// One line of the table.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) test: Box<dyn FnOnce(World) -> Test + Send>,
}

/// Rules: each a name, the variable of its world, and what is asked of it.
macro_rules! rules {
    ($($name:ident($world:ident) $test:block)*) => {
        vec![$($crate::world::Rule {
            name: stringify!($name),
            test: Box::new(|#[allow(unused_mut, reason = "some only look")] mut $world| {
                Box::pin(async move { $test; Ok(()) })
            }),
        }),*]
    };
}
pub(crate) use rules;

/// Who logs in.
pub(crate) const ADDRESS: &str = "you@example.com";

pub(crate) struct World {
    pub(crate) stage: Arc<Stage>,
    pub(crate) visitor: Visitor,
    pub(crate) attempt: Attempt,
    pub(crate) issuer: String,
}

impl World {
    pub(crate) fn new(stage: Arc<Stage>) -> Result<Self, String> {
        Ok(Self {
            visitor: Visitor::new()?,
            attempt: Attempt::new(&stage.issuer)?,
            issuer: stage.issuer.clone(),
            stage,
        })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Page, String> {
        let url = format!("{}{path}", self.issuer);
        self.visitor.get(&url).await
    }

    pub(crate) async fn discovery(&mut self) -> Result<Value, String> {
        Ok(self.get("/.well-known/openid-configuration").await?.json())
    }

    pub(crate) async fn keys(&mut self) -> Result<Vec<Value>, String> {
        let set = self.get("/keys").await?.json();
        set["keys"]
            .as_array()
            .cloned()
            .ok_or_else(|| set.to_string())
    }

    /// What the authorization endpoint says to a changed request, redirects not followed.
    pub(crate) async fn authorize(&mut self, changes: &[(&str, &str)]) -> Result<Page, String> {
        let url = self.attempt.url_with(changes);
        self.visitor.get(&url).await
    }

    /// From the page that asks for an address to the answer for the client.
    pub(crate) async fn prove(&mut self, page: &Page, address: &str) -> Result<Page, String> {
        let page = self.visitor.fill(page, "email", address).await?;
        let code = self.stage.mails.take(address).await?;
        self.visitor.fill(&page, "code", &code).await
    }

    /// A whole log-in of a changed request, to the answer for the client.
    pub(crate) async fn answer(&mut self, changes: &[(&str, &str)]) -> Result<Page, String> {
        let url = self.attempt.url_with(changes);
        let page = self.visitor.visit(&url).await?;
        self.prove(&page, ADDRESS).await
    }

    pub(crate) async fn code(&mut self) -> Result<String, String> {
        let answer = self.answer(&[]).await?;
        answer.parameter("code").ok_or(answer.body)
    }

    /// The form that exchanges a code, changed.
    pub(crate) async fn token(
        &mut self,
        code: &str,
        changes: &[(&str, &str)],
    ) -> Result<Page, String> {
        let verifier = self.attempt.verifier.clone();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", "sigstore"),
            ("code", code),
            ("redirect_uri", waxseal_tests_broker::REDIRECT),
            ("code_verifier", &verifier),
        ];
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            if *value != "-" {
                form.push((name, value));
            }
        }
        let url = format!("{}/token", self.issuer);
        self.visitor.post(&url, &form).await
    }

    /// A whole log-in, to the tokens.
    pub(crate) async fn tokens(&mut self) -> Result<Value, String> {
        let code = self.code().await?;
        let page = self.token(&code, &[]).await?;
        assert_eq!(page.status, 200, "{}", page.body);
        Ok(page.json())
    }

    /// The claims of a fresh ID token.
    pub(crate) async fn claims(&mut self) -> Result<Value, String> {
        Ok(claims(&self.tokens().await?["id_token"]))
    }

    /// A changed exchange of a good code is refused like this, and the code is spent.
    pub(crate) async fn refused(
        &mut self,
        changes: &[(&str, &str)],
        status: u16,
        error: &str,
    ) -> Result<(), String> {
        let code = self.code().await?;
        let page = self.token(&code, changes).await?;
        is_error(&page, status, error);
        Ok(())
    }

    /// A changed authorization request goes back to the client like this.
    pub(crate) async fn returned(
        &mut self,
        changes: &[(&str, &str)],
        error: &str,
    ) -> Result<(), String> {
        let page = self.authorize(changes).await?;
        assert_eq!(page.status, 303, "{}", page.body);
        let location = page.location().unwrap();
        assert!(
            location
                .as_str()
                .starts_with(waxseal_tests_broker::REDIRECT)
        );
        assert_eq!(
            page.parameter("error").as_deref(),
            Some(error),
            "{location}"
        );
        assert_eq!(page.parameter("state"), Some(self.attempt.state.clone()));
        assert_eq!(page.parameter("iss"), Some(self.issuer.clone()));
        assert_eq!(page.parameter("code"), None);
        Ok(())
    }

    /// A changed authorization request ends on a page of the broker's, and goes nowhere.
    pub(crate) async fn stays(&mut self, changes: &[(&str, &str)]) -> Result<(), String> {
        let page = self.authorize(changes).await?;
        assert_eq!(page.status, 400, "{}", page.body);
        assert_eq!(page.location(), None);
        assert!(page.header("content-type").starts_with("text/html"));
        Ok(())
    }
}

/// RFC 6749 §5.2.
pub(crate) fn is_error(page: &Page, status: u16, error: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    assert_eq!(page.json()["error"], error, "{}", page.body);
    assert!(page.header("content-type").starts_with("application/json"));
    assert_eq!(page.header("cache-control"), "no-store");
}

pub(crate) fn part(token: &Value, number: usize) -> Value {
    let token = token.as_str().expect("a token");
    let part = token.split('.').nth(number).expect("a part");
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

pub(crate) fn claims(token: &Value) -> Value {
    part(token, 1)
}
