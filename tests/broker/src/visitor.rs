//! A browser in a few lines: redirects, cookies and forms, one step at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::{Url, form_urlencoded};
use waxseal_crypto::{Random as _, sha256};
use waxseal_crypto_aws_lc::OsRandom;
use waxseal_transport::{Credential, Origin, Request, Response, Transport as _};
use waxseal_transport_reqwest::ReqwestTransport;

/// Where the answer of a log-in goes: nobody listens there.
pub const REDIRECT: &str = "http://localhost:1/auth/callback";

const FORM: &str = "application/x-www-form-urlencoded";

/// A browser with its cookies.
#[derive(Clone)]
pub struct Visitor {
    transport: Arc<ReqwestTransport>,
    cookies: BTreeMap<String, String>,
    /// The address that a proxy would report.
    pub forwarded: Option<String>,
    /// The host that a proxy would pass on, where it is not the URL's.
    pub host: Option<String>,
}

/// What the broker answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Page {
    /// Of what.
    pub url: Url,
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub response: Response,
    /// Its text.
    pub body: String,
}

/// A client's log-in that is under way: its own half of PKCE.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// The issuer.
    pub issuer: String,
    /// The secret of RFC 7636.
    pub verifier: String,
    /// RFC 6749's `state`.
    pub state: String,
    /// OpenID Connect's `nonce`.
    pub nonce: String,
}

/// Connections that several visitors may share.
///
/// # Errors
/// What the TLS library says.
pub fn network() -> Result<Arc<ReqwestTransport>, String> {
    let transport = ReqwestTransport::builder().build();
    transport.map(Arc::new).map_err(|error| error.to_string())
}

impl Visitor {
    /// A visitor without cookies.
    ///
    /// # Errors
    /// What the TLS library says.
    pub fn new() -> Result<Self, String> {
        Ok(Self::on(network()?))
    }

    /// A visitor without cookies on connections that others share.
    #[must_use]
    pub fn on(transport: Arc<ReqwestTransport>) -> Self {
        Self {
            transport,
            cookies: BTreeMap::new(),
            forwarded: None,
            host: None,
        }
    }

    /// Goes on over other connections, with its cookies.
    pub fn move_to(&mut self, transport: Arc<ReqwestTransport>) {
        self.transport = transport;
    }

    /// Sends one request, with the cookies, and keeps those that come back.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn send(&mut self, mut request: Request) -> Result<Page, String> {
        let url = request.url.clone();
        request = request.returning_redirects();
        if let Some(forwarded) = &self.forwarded {
            request = request.with_header("X-Forwarded-For", forwarded);
        }
        if let Some(host) = &self.host {
            request = request.with_header("Host", host);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            request = request.with_credential(Credential::cookie(&url, pairs.join("; ")));
        }
        let response = self
            .transport
            .send(request)
            .await
            .map_err(|error| format!("{url}: {error:?}"))?;
        for cookie in response.headers.all("Set-Cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies
                    .insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        Ok(Page {
            url,
            status: response.status,
            body: String::from_utf8_lossy(&response.body).into_owned(),
            response,
        })
    }

    /// Gets one URL, without following.
    ///
    /// # Errors
    /// If it is none, or nobody answers.
    pub async fn get(&mut self, url: &str) -> Result<Page, String> {
        let url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        self.send(Request::get(url)).await
    }

    /// Posts a form, without following.
    ///
    /// # Errors
    /// If it is no URL, or nobody answers.
    pub async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Result<Page, String> {
        let url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.send(Request::post(url, FORM, body.into_bytes())).await
    }

    /// Posts JSON, without following.
    ///
    /// # Errors
    /// If it is no URL, or nobody answers.
    pub async fn post_json(&mut self, url: &str, body: &str) -> Result<Page, String> {
        let url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        let body = body.as_bytes().to_vec();
        self.send(Request::post(url, "application/json", body))
            .await
    }

    /// The cookies that it has.
    #[must_use]
    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.clone()
    }

    /// Follows redirects as long as they stay at the same origin.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn follow(&mut self, mut page: Page) -> Result<Page, String> {
        for _ in 0..10 {
            match page.location() {
                Some(next) if Origin::of(&next) == Origin::of(&page.url) => {
                    page = self.send(Request::get(next)).await?;
                }
                _ => return Ok(page),
            }
        }
        Err("redirects without an end".to_owned())
    }

    /// Follows redirects wherever on this machine they lead; every place on the way.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn roam(&mut self, mut page: Page) -> Result<(Page, Vec<Url>), String> {
        let mut places = Vec::new();
        while let Some(next) = page.location() {
            if places.len() > 20 {
                return Err("redirects without an end".to_owned());
            }
            places.push(next.clone());
            page = self.send(Request::get(next)).await?;
        }
        Ok((page, places))
    }

    /// Sends the first form of a page with these fields changed, without following.
    ///
    /// # Errors
    /// If the page has no form, or nobody answers.
    pub async fn send_form(
        &mut self,
        page: &Page,
        changes: &[(&str, &str)],
    ) -> Result<Page, String> {
        let (action, mut fields) = page
            .form_with(|_| true)
            .ok_or_else(|| format!("no form in {}: {}", page.status, page.body))?;
        for (name, value) in changes {
            fields.insert((*name).to_owned(), (*value).to_owned());
        }
        let url = page.url.join(&action).map_err(|error| error.to_string())?;
        let pairs: Vec<_> = fields
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        self.post(url.as_str(), &pairs).await
    }

    /// Gets a URL, and follows.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn visit(&mut self, url: &str) -> Result<Page, String> {
        let page = self.get(url).await?;
        self.follow(page).await
    }

    /// Fills in one field of the form that has it, sends the form, and follows.
    ///
    /// # Errors
    /// If the page has no such form, or nobody answers.
    pub async fn fill(&mut self, page: &Page, field: &str, value: &str) -> Result<Page, String> {
        let (action, mut fields) = page
            .form(field)
            .ok_or_else(|| format!("no form with {field} in {}: {}", page.status, page.body))?;
        fields.insert(field.to_owned(), value.to_owned());
        self.submit(page, &action, &fields).await
    }

    async fn submit(
        &mut self,
        page: &Page,
        action: &str,
        fields: &BTreeMap<String, String>,
    ) -> Result<Page, String> {
        let url = page.url.join(action).map_err(|error| error.to_string())?;
        let pairs: Vec<_> = fields
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let answer = self.post(url.as_str(), &pairs).await?;
        self.follow(answer).await
    }

    /// Presses a button of a form, and follows.
    ///
    /// # Errors
    /// If the page has no such button, or nobody answers.
    pub async fn press(&mut self, page: &Page, name: &str, value: &str) -> Result<Page, String> {
        let (action, mut fields) = page
            .form_with(|form| {
                tags(form, "<button").any(|tag| {
                    self::value(tag, "name") == name && self::value(tag, "value") == value
                })
            })
            .ok_or_else(|| format!("no button {value} in {}: {}", page.status, page.body))?;
        fields.insert(name.to_owned(), value.to_owned());
        self.submit(page, &action, &fields).await
    }

    /// Exchanges a code as the public client does.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn exchange(&mut self, attempt: &Attempt, code: &str) -> Result<Page, String> {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "sigstore"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", &attempt.verifier),
        ];
        self.post(&format!("{}/token", attempt.issuer), &form).await
    }
}

impl Page {
    /// Where it sends the browser.
    #[must_use]
    pub fn location(&self) -> Option<Url> {
        let location = self.response.headers.only("Location")?;
        self.url.join(location).ok()
    }

    /// A parameter of the URL that it sends the browser to.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let location = self.location()?;
        let mut pairs = location.query_pairs();
        let found = pairs.find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// One header field.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.response.headers.only(name).unwrap_or_default()
    }

    /// Its JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The action and the fields of the first form in which a person fills in `field`.
    #[must_use]
    pub fn form(&self, field: &str) -> Option<(String, BTreeMap<String, String>)> {
        self.form_with(|form| {
            tags(form, "<input")
                .any(|tag| value(tag, "name") == field && value(tag, "type") != "hidden")
        })
    }

    /// The first link to a path that ends like this, its query left aside.
    #[must_use]
    pub fn link(&self, end: &str) -> Option<String> {
        let mut links = tags(&self.body, "<a").filter_map(|tag| {
            let url = self.url.join(&value(tag, "href")).ok()?;
            url.path().ends_with(end).then(|| url.to_string())
        });
        links.next()
    }

    /// The value of a field that is shown to be copied.
    #[must_use]
    pub fn shown(&self, id: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!(" id=\"{id}\""))?;
        let (tag, rest) = rest.split_once('>')?;
        let text = match value(tag, "value") {
            text if text.is_empty() => rest.split('<').next()?.trim().to_owned(),
            text => text,
        };
        (!text.is_empty()).then_some(text)
    }

    fn form_with(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<(String, BTreeMap<String, String>)> {
        let mut forms = self.body.split("<form").skip(1);
        let form = forms.find_map(|form| {
            let form = form.split("</form>").next()?;
            wanted(form).then_some(form)
        })?;
        let fields = tags(form, "<input")
            .map(|tag| (value(tag, "name"), value(tag, "value")))
            .collect();
        Some((value(form.split('>').next()?, "action"), fields))
    }
}

fn tags<'a>(html: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = html.split(start).skip(1);
    parts.filter_map(|part| part.split('>').next())
}

fn value(tag: &str, name: &str) -> String {
    let found = tag.split_once(&format!(" {name}=\""));
    let text = found.and_then(|(_, rest)| rest.split('"').next());
    let text = text.unwrap_or_default();
    text.replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

impl Attempt {
    /// A client's beginning at an issuer.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new(issuer: &str) -> Result<Self, String> {
        let secret = || {
            let mut bytes = [0; 32];
            OsRandom.fill(&mut bytes).map_err(|e| e.to_string())?;
            Ok::<_, String>(URL_SAFE_NO_PAD.encode(bytes))
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            verifier: secret()?,
            state: secret()?,
            nonce: secret()?,
        })
    }

    /// The parameters of its authorization request.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(self.verifier.as_bytes()));
        [
            ("response_type", "code"),
            ("client_id", "sigstore"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid email"),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The URL that it opens in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_with(&[])
    }

    /// The same with some parameters changed, or removed where the value is `-`.
    #[must_use]
    pub fn url_with(&self, changes: &[(&str, &str)]) -> String {
        let mut parameters = self.parameters();
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if *value != "-" {
                parameters.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        format!("{}/auth?{query}", self.issuer)
    }
}
