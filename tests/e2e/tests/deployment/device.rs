//! `waxseal` on a machine without a browser, and the person's browser elsewhere: the device flow of
//! our client at our broker.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use waxseal_instance::{Mailbox as _, OutboxReader};
use waxseal_tests_e2e::{Deployment, e2e, start, waxseal};
use waxseal_transport::{Credential, Request, Response, Transport as _, Url};

/// What the person at the browser does about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Continue,
    Refuse,
}

/// As much of a browser as the pages need.
struct Person<'a> {
    deployment: &'a Deployment,
    address: String,
    /// It sees what arrives after it was made.
    mail: OutboxReader,
    cookies: Vec<String>,
}

impl Person<'_> {
    /// Follows redirects and fills in forms, until a page has none.
    async fn browse(&mut self, start: Url, answer: Answer) -> String {
        let mut url = start;
        let mut response = self.send(Request::get(url.clone())).await;
        for _ in 0..12 {
            if let Some(location) = response.headers.only("Location") {
                url = url.join(location).unwrap();
                response = self.send(Request::get(url.clone())).await;
                continue;
            }
            let page = String::from_utf8(response.body).unwrap();
            assert_eq!(response.status, 200, "{page}");
            let Some((_, form)) = page.split_once("<form ") else {
                return page;
            };
            let form = form.split("</form>").next().unwrap();
            url = url.join(attribute(form, "action").unwrap()).unwrap();
            let body = self.fill(form, answer).await;
            let kind = "application/x-www-form-urlencoded";
            response = self
                .send(Request::post(url.clone(), kind, body.into_bytes()))
                .await;
        }
        panic!("the pages do not end");
    }

    async fn fill(&self, form: &str, answer: Answer) -> String {
        let mut pairs = Vec::new();
        for input in form.split("<input ").skip(1) {
            let name = attribute(input, "name").unwrap();
            let value = match name {
                "email" => self.address.clone(),
                "code" => self.code().await,
                _ => attribute(input, "value").unwrap_or_default().to_owned(),
            };
            pairs.push((name, value));
        }
        if form.contains("name=\"answer\"") {
            let said = match answer {
                Answer::Continue => "continue",
                Answer::Refuse => "refuse",
            };
            pairs.push(("answer", said.to_owned()));
        }
        let mut url: Url = "http://localhost/".parse().unwrap();
        url.query_pairs_mut().extend_pairs(pairs);
        url.query().unwrap().to_owned()
    }

    async fn code(&self) -> String {
        for _ in 0..1000 {
            if let Some(code) = self.mail.code(&self.address) {
                return code;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no mail came");
    }

    async fn send(&mut self, request: Request) -> Response {
        let url = request.url.clone();
        let mut request = request.returning_redirects();
        if !self.cookies.is_empty() {
            let cookies = Credential::cookie(&url, self.cookies.join("; "));
            request = request.with_credential(cookies);
        }
        let response = self.deployment.transport.send(request).await.unwrap();
        for cookie in response.headers.all("Set-Cookie") {
            let pair = cookie.split(';').next().unwrap();
            let name = pair.split('=').next().unwrap();
            self.cookies
                .retain(|known| !known.starts_with(&format!("{name}=")));
            self.cookies.push(pair.to_owned());
        }
        response
    }
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let tag = tag.split('>').next()?;
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

/// Runs the program, and does what it says in a browser of its own.
async fn log_in(
    deployment: &Deployment,
    address: &str,
    answer: Answer,
    arguments: &[&str],
) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "a file").unwrap();
    let instance = deployment.folder().to_str().unwrap();
    let all = [arguments, &["--instance", instance]].concat();
    let mut child = start(folder.path(), &all)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let mut person = Person {
        deployment,
        address: address.to_owned(),
        mail: OutboxReader::new(deployment.outbox()),
        cookies: Vec::new(),
    };
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Ok(page) = line.trim().parse::<Url>()
            && page.query().is_some()
        {
            let last = person.browse(page, answer).await;
            assert!(last.contains("You can close this"), "{last}");
        }
        said.push_str(&line);
        said.push('\n');
    }
    let code = child.wait().await.unwrap().code().unwrap();
    if code == 0 {
        let issuer = deployment.instance.issuer();
        let arguments = [
            "verify",
            "a.txt",
            "--instance",
            instance,
            "--identity",
            address,
            "--issuer",
            &issuer,
        ];
        let verified = waxseal(folder.path(), &arguments, &[]).await;
        assert_eq!(verified.code, 0, "{verified:?}");
    } else {
        assert!(!folder.path().join("a.txt.sigstore.json").exists());
    }
    (code, said)
}

const SIGN: [&str; 4] = ["sign", "a.txt", "--device", "--no-ambient"];

#[test]
fn a_code_confirmed_elsewhere_signs_here() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let (code, said) = log_in(deployment, &address, Answer::Continue, &SIGN).await;
        assert_eq!(code, 0, "{said}");
    });
}

#[test]
fn a_code_refused_elsewhere_signs_nothing() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let (code, said) = log_in(deployment, &address, Answer::Refuse, &SIGN).await;
        assert_eq!(code, 8, "{said}");
        assert!(said.contains("[login-denied]"), "{said}");
    });
}
