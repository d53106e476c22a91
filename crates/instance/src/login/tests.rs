//! Every way in which a log-in fails, at a broker of canned answers.

use std::sync::Mutex;

use waxseal_transport::{BoxFuture, Headers, Method};

use super::*;

const ISSUER: &str = "http://localhost:2/auth";

/// Answers in order, whatever is asked; what was asked is kept.
struct Canned {
    answers: Mutex<Vec<Response>>,
    asked: Mutex<Vec<(Method, String, Option<String>)>>,
}

impl Transport for Canned {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let cookie = request.credential.as_ref().map(|c| c.expose().to_owned());
        let asked = (request.method, request.url.to_string(), cookie);
        self.asked.lock().unwrap().push(asked);
        let answer = self.answers.lock().unwrap().remove(0);
        Box::pin(async move { Ok(answer) })
    }

    fn sleep<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

struct Code(Option<&'static str>);

impl Mailbox for Code {
    fn code(&self, _: &str) -> Option<String> {
        self.0.map(str::to_owned)
    }
}

fn discovery() -> Response {
    let document = format!(
        r#"{{"issuer":"{ISSUER}","authorization_endpoint":"{ISSUER}/auth","token_endpoint":"{ISSUER}/token","jwks_uri":"{ISSUER}/keys","code_challenge_methods_supported":["S256"]}}"#
    );
    page(200, &document)
}

fn page(status: u16, body: &str) -> Response {
    Response::new(status, Headers::new(), body.as_bytes().to_vec())
}

fn redirect(location: &str, cookie: &str) -> Response {
    let mut headers = Headers::new();
    headers.append("Location", location);
    if !cookie.is_empty() {
        headers.append("Set-Cookie", cookie);
    }
    Response::new(303, headers, Vec::new())
}

fn form(field: &str) -> Response {
    let form =
        format!("<form method=\"post\" action=\"/auth/next\"><input name=\"{field}\"></form>");
    page(200, &form)
}

async fn run(answers: Vec<Response>, mail: Option<&'static str>) -> (EmailLoginError, Canned) {
    let canned = Canned {
        answers: Mutex::new(answers),
        asked: Mutex::default(),
    };
    let random = waxseal_crypto_aws_lc::OsRandom;
    let address = "you@example.com";
    let refused = email_login(&canned, &random, ISSUER, address, &Code(mail)).await;
    (refused.unwrap_err(), canned)
}

#[tokio::test]
async fn pages_are_walked_with_the_cookies_they_set() {
    let answers = vec![
        discovery(),
        redirect("/auth/page", "a=1; HttpOnly"),
        form("email"),
        redirect("/auth/code", "b=2"),
        form("code"),
        redirect(&format!("{REDIRECT}?code=x&state=not-ours"), ""),
    ];
    let (refused, canned) = run(answers, Some("12345678")).await;
    assert!(matches!(
        refused,
        EmailLoginError::Login(LoginError::WrongState)
    ));
    let asked = canned.asked.into_inner().unwrap();
    let cookies: Vec<_> = asked
        .iter()
        .map(|(_, _, cookie)| cookie.as_deref())
        .collect();
    let (one, both) = (Some("a=1"), Some("a=1; b=2"));
    assert_eq!(cookies, [None, None, one, one, both, both]);
    let methods: Vec<_> = asked.iter().map(|(method, ..)| *method).collect();
    let (get, post) = (Method::Get, Method::Post);
    assert_eq!(methods, [get, get, get, post, get, post]);
}

#[tokio::test]
async fn unexpected_page() {
    let check = async |answer: Response, expected: (u16, &str)| {
        let (refused, _) = run(vec![discovery(), answer], None).await;
        let EmailLoginError::UnexpectedPage { status, page } = refused else {
            panic!("{refused}")
        };
        assert_eq!((status, page.as_str()), expected);
    };
    check(
        page(429, "<main><p>Too many codes.</p>"),
        (429, "Too many codes."),
    )
    .await;
    check(page(200, "<p>Hello</p>"), (200, "Hello")).await;
    check(form("password"), (200, "")).await;
}

#[tokio::test]
async fn bad_redirect() {
    let nowhere = Response::new(303, Headers::new(), Vec::new());
    let (refused, _) = run(vec![discovery(), nowhere], None).await;
    assert!(matches!(refused, EmailLoginError::BadRedirect));
}

#[tokio::test]
async fn endless() {
    let mut answers = vec![discovery()];
    answers.extend(std::iter::repeat_with(|| redirect("/again", "")).take(MAX_STEPS + 1));
    let (refused, _) = run(answers, None).await;
    assert!(matches!(refused, EmailLoginError::Endless));
}

#[tokio::test]
async fn no_mail() {
    let (refused, _) = run(vec![discovery(), form("code")], None).await;
    assert!(matches!(refused, EmailLoginError::NoMail { .. }));
}

#[tokio::test]
async fn transport() {
    let (refused, _) = run(vec![page(500, "")], None).await;
    assert!(matches!(refused, EmailLoginError::Transport(_)));
}

#[tokio::test]
async fn url() {
    let canned = Canned {
        answers: Mutex::default(),
        asked: Mutex::default(),
    };
    let random = waxseal_crypto_aws_lc::OsRandom;
    let refused = email_login(&canned, &random, "nowhere", "you@example.com", &Code(None)).await;
    assert!(matches!(refused, Err(EmailLoginError::Url(_))));
}
