//! The rules of a request and of the head and body of its response.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::io::Write as _;

use waxseal_transport::{
    Credential, Excerpt, Headers, METADATA_PATH, Method, Origin, Request, Response, Route,
    TransportError, Url, is_loopback,
};

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// Checks a request; the name of the variant that refuses it, or "sent".
fn verdict(outcome: Result<(), TransportError>) -> String {
    match outcome {
        Ok(()) => "sent".to_owned(),
        Err(error) => format!("{error:?}")
            .split([' ', '{'])
            .next()
            .unwrap()
            .to_owned(),
    }
}

fn check(request: &Request, expected: &str) {
    assert_eq!(verdict(request.check()), expected, "{request:?}");
}

#[test]
fn not_http() {
    for text in [
        "ftp://localhost/",
        "file:///etc/passwd",
        "data:text/plain,x",
        "ws://localhost",
    ] {
        check(&Request::get(url(text)), "NotHttp");
    }
    check(&Request::get(url("https://ca.example")), "sent");
}

#[test]
fn plain_http() {
    for text in [
        "http://ca.example/",
        "http://10.0.0.1/",
        "http://126.255.255.255/",
        "http://128.0.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::2]/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost.evil.example/",
        "http://evil-localhost/",
        "http://xn--localhost-.org/",
    ] {
        // An URL that does not parse at all is refused earlier still.
        if let Ok(url) = text.parse::<Url>() {
            check(&Request::get(url), "PlainHttp");
        }
    }
    for text in [
        "http://localhost/",
        "http://LOCALHOST:8383/",
        "http://127.0.0.1/",
        "http://127.255.255.254/",
        "http://2130706433/",
        "http://[::1]:80/",
    ] {
        check(&Request::get(url(text)), "sent");
        assert!(is_loopback(&url(text)));
    }
}

#[test]
fn user_info() {
    for text in [
        "https://user@ca.example",
        "https://:word@ca.example",
        "http://localhost@evil/",
    ] {
        check(&Request::get(url(text)), "UserInfo");
    }
}

#[test]
fn v_41_and_v_43_other_origin() {
    let bound_to = "https://registry.io/token";
    let credential = Credential::bearer(&url(bound_to), "CANARYSECRET");
    for elsewhere in [
        "https://evil-registry.io/",
        "https://registry.io.evil/",
        "https://registry.io:444/",
        "https://www.registry.io/",
        "https://registry.io./",
        "https://registry.i0/",
        "http://localhost/",
    ] {
        let request = Request::get(url(elsewhere)).with_credential(credential.clone());
        check(&request, "OtherOrigin");
    }
    for same in [
        "https://registry.io/other",
        "https://REGISTRY.io:443/",
        "https://regis\ttry.io",
    ] {
        check(
            &Request::get(url(same)).with_credential(credential.clone()),
            "sent",
        );
    }
    assert_eq!(credential.expose(), "Bearer CANARYSECRET");
    assert_eq!(credential.header(), "Authorization");
}

#[test]
fn a_cookie_is_bound_to_its_origin_too() {
    let cookie = Credential::cookie(&url("https://id.example/auth"), "a=CANARYSECRET".to_owned());
    assert_eq!(
        (cookie.header(), cookie.expose()),
        ("Cookie", "a=CANARYSECRET")
    );
    assert!(!format!("{cookie:?}").contains("CANARY"));
    let request =
        |to: &str, cookie: &Credential| Request::get(url(to)).with_credential(cookie.clone());
    check(&request("https://id.example/auth/email", &cookie), "sent");
    check(
        &request("https://id.example.evil/auth", &cookie),
        "OtherOrigin",
    );
    let split = Credential::cookie(&url("https://id.example"), "a=b\r\nX: y".to_owned());
    check(&request("https://id.example/", &split), "BadHeader");
}

#[test]
fn s_44_hosts_are_compared_after_idna() {
    let origin = |text: &str| text.parse::<Url>().ok().map(|url| Origin::of(&url));
    let real = origin("https://example.org").unwrap();
    for other in [
        "https://xn--example-.org",
        "https://example.org.",
        "https://example.org%2eevil",
    ] {
        assert_ne!(origin(other), Some(real.clone()), "{other}");
    }
    assert_eq!(origin("https://EXAMPLE%2eorg:443/"), Some(real.clone()));
    assert_eq!(real.to_string(), "https://example.org");
    assert_eq!(
        origin("http://[::1]:8383").unwrap().to_string(),
        "http://[::1]:8383"
    );
}

#[test]
fn secret_header() {
    for name in ["Authorization", "COOKIE", "proxy-authorization"] {
        check(
            &Request::get(url("https://a.example")).with_header(name, "x"),
            "SecretHeader",
        );
    }
}

#[test]
fn bad_header() {
    let request = || Request::get(url("https://a.example"));
    for (name, value) in [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("a", "x\r\nHost: b"),
        ("a", "x\0"),
        ("a", "é"),
    ] {
        check(&request().with_header(name, value), "BadHeader");
    }
    check(&request().with_header("Accept", "a/b; q=0.5\t"), "sent");
    let broken = Credential::bearer(&url("https://a.example"), "x\r\nHost: evil");
    check(&request().with_credential(broken), "BadHeader");
}

fn admit(request: &Request, status: u16, headers: &[(&str, &str)], expected: &str) {
    let mut fields = Headers::new();
    for (name, value) in headers {
        fields.append(*name, *value);
    }
    assert_eq!(
        verdict(request.admit(status, &fields)),
        expected,
        "{status} {headers:?}"
    );
}

#[test]
fn redirect_refused() {
    let request = Request::get(url("https://a.example"));
    for status in [300, 301, 302, 303, 307, 308] {
        admit(
            &request,
            status,
            &[("Location", "/same")],
            "RedirectRefused",
        );
        admit(&request.clone().returning_redirects(), status, &[], "sent");
    }
    for status in [200, 304, 400] {
        admit(&request, status, &[("Location", "/same")], "sent");
    }
    let mut headers = Headers::new();
    headers.append("Location", "https://b.example/cb?code=CANARYSECRET");
    let error = request.admit(302, &headers).unwrap_err().to_string();
    assert!(
        error.contains("https://b.example/cb") && !error.contains("CANARY"),
        "{error}"
    );
}

#[test]
fn encoded() {
    let request = Request::get(url("https://a.example"));
    admit(&request, 200, &[("content-encoding", "gzip")], "Encoded");
    admit(
        &request,
        200,
        &[("Content-Encoding", "identity"), ("Content-Encoding", "br")],
        "Encoded",
    );
    admit(&request, 200, &[("Content-Encoding", "Identity")], "sent");
}

/// What was asked for is taken, and nothing else.
#[test]
fn gzip_is_taken_where_it_was_asked_for() {
    let asked = Request::get(url("https://a.example")).taking_gzip();
    assert_eq!(asked.headers.only("accept-encoding"), Some("gzip"));
    admit(&asked, 200, &[("Content-Encoding", "GZIP")], "sent");
    admit(&asked, 200, &[("Content-Encoding", "br")], "Encoded");
    admit(
        &asked,
        200,
        &[("Content-Encoding", "gzip, gzip")],
        "Encoded",
    );
    let twice = [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")];
    admit(&asked, 200, &twice, "Encoded");
    // A header alone asks for nothing: nobody would undo it.
    let by_hand = Request::get(url("https://a.example")).with_header("Accept-Encoding", "gzip");
    admit(&by_hand, 200, &[("Content-Encoding", "gzip")], "Encoded");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn plain(encoding: &str, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, TransportError> {
    let mut headers = Headers::new();
    headers.append("Content-Encoding", encoding);
    Response::new(200, headers, body).into_plain(limit)
}

#[test]
fn broken_gzip() {
    let whole = gzip(b"0123456789");
    let found = plain("gzip", whole.clone(), 10).unwrap();
    assert_eq!(found, b"0123456789");
    let two = [whole.clone(), whole.clone()].concat();
    assert_eq!(plain("gzip", two, 20).unwrap(), b"01234567890123456789");
    assert_eq!(plain("identity", whole.clone(), 1).unwrap(), whole);
    let mut wrong_sum = whole.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    for broken in [
        Vec::new(),
        b"0123456789".to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [whole, b"more".to_vec()].concat(),
        wrong_sum,
    ] {
        let found = plain("gzip", broken.clone(), 100);
        let is_broken = matches!(found, Err(TransportError::BrokenGzip(_)));
        assert!(is_broken, "{broken:02x?}");
    }
}

/// A few bytes that become a gigabyte (S-02): no more of them than the limit comes to be.
#[test]
fn s_02_a_bomb_is_not_unpacked() {
    let bomb = gzip(&vec![0; 16 << 20]);
    assert!(bomb.len() < 20_000);
    let found = plain("gzip", bomb.repeat(64), 1 << 20);
    let limit = 1 << 20;
    assert!(matches!(found, Err(TransportError::TooLarge { limit: l }) if l == limit));
}

#[test]
fn too_large() {
    let request = Request::get(url("https://a.example")).with_max_response(10);
    admit(&request, 200, &[("Content-Length", "11")], "TooLarge");
    admit(&request, 200, &[("Content-Length", "10")], "sent");
    let head = Request::new(Method::Head, url("https://a.example"));
    admit(
        &head.with_max_response(10),
        200,
        &[("Content-Length", "11")],
        "sent",
    );

    let mut collector = request.collector();
    collector.push(b"12345").unwrap();
    collector.push(b"67890").unwrap();
    assert!(matches!(
        collector.push(b"1"),
        Err(TransportError::TooLarge { limit: 10 })
    ));
    assert_eq!(collector.into_body(), b"1234567890");
}

fn response(status: u16, content_type: &str, body: &str) -> Response {
    let mut headers = Headers::new();
    headers.append("content-type", content_type);
    Response::new(status, headers, body.as_bytes().to_vec())
}

#[test]
fn unexpected_status() {
    let error = response(503, "text/plain", "come back\nlater").expect_status(&[200, 201]);
    let error = error.unwrap_err();
    assert!(matches!(
        error,
        TransportError::UnexpectedStatus { found: 503, .. }
    ));
    assert_eq!(
        error.to_string(),
        "status 503, expected [200, 201]: come back later"
    );
    assert!(
        response(201, "a/b", "")
            .expect_status(&[200, 201])
            .unwrap()
            .is_success()
    );
}

#[test]
fn unexpected_content_type() {
    let error = response(200, "Text/HTML; charset=x", "<p>").expect_content_type(&["a/b"]);
    let error = error.unwrap_err();
    assert!(matches!(
        error,
        TransportError::UnexpectedContentType { .. }
    ));
    assert_eq!(
        error.to_string(),
        "content type text/html, expected [\"a/b\"]: <p>"
    );
    let response = response(200, "Application/JSON; x=y", "{}");
    assert!(response.expect_content_type(&["application/json"]).is_ok());
    let bare = Response::new(200, Headers::new(), Vec::new());
    assert!(bare.expect_content_type(&["application/json"]).is_err());
}

#[test]
fn s_60_excerpts_drive_no_terminal() {
    let text = "a\u{1b}]52;c;x\u{7}\u{202e}b\u{9b}\u{200b}\r\nc";
    let shown = Excerpt::of(text.as_bytes()).to_string();
    assert_eq!(shown, "a\\u{1b}]52;c;x\\u{7}\\u{202e}b\\u{9b}\\u{200b}  c");
    assert_eq!(Excerpt::of(&[b'a'; 300]).as_str().len(), 300);
    assert!(Excerpt::of(&[b'a'; 301]).as_str().ends_with('…'));
}

#[test]
fn s_56_debug_shows_no_secret() {
    let target = url("https://a.example/path?code=CANARYSECRET");
    let request = Request::post(target.clone(), "a/b", b"CANARYSECRET".to_vec())
        .with_credential(Credential::bearer(&target, "CANARYSECRET"))
        .with_header("X-Key", "CANARYSECRET");
    let response = response(200, "a/b", "CANARYSECRET");
    let shown = format!(
        "{request:?} {request:#?} {response:?} {:?}",
        request.credential
    );
    assert!(!shown.contains("CANARY"), "{shown}");
    assert!(shown.contains("redacted, for https://a.example"), "{shown}");
}

#[test]
fn a_repeated_field_has_no_only_value() {
    let mut headers = Headers::new();
    headers.append("A", "1");
    assert_eq!(headers.only("a"), Some("1"));
    headers.append("a", "2");
    assert_eq!(headers.only("A"), None);
    assert_eq!(headers.all("A").collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn not_for_metadata() {
    let the_one = || Request::to_metadata_server(&[("audience", "a b"), ("format", "full")]);
    let expected = format!("http://169.254.169.254{METADATA_PATH}?audience=a+b&format=full");
    assert_eq!(the_one().url.as_str(), expected);
    check(&the_one(), "sent");
    let other = |change: fn(&mut Request)| {
        let mut request = the_one();
        change(&mut request);
        check(&request, "NotForMetadata");
    };
    other(|request| {
        request
            .url
            .set_path("/computeMetadata/v1/instance/attributes/kube-env")
    });
    other(|request| {
        request
            .url
            .set_host(Some("metadata.google.internal"))
            .unwrap()
    });
    other(|request| request.url.set_host(Some("169.254.169.253")).unwrap());
    other(|request| request.url.set_host(Some("192.0.2.1")).unwrap());
    other(|request| request.url.set_port(Some(8080)).unwrap());
    other(|request| request.url.set_scheme("https").unwrap());
    other(|request| request.method = Method::Put);
    other(|request| request.body = b"x".to_vec());
    other(|request| request.headers = Headers::new());
    other(|request| request.credential = Some(Credential::bearer(&request.url, "t")));
    // By the ordinary way it stays refused.
    let mut request = the_one();
    request.route = Route::Network;
    check(&request, "PlainHttp");
}

#[test]
fn not_metadata_server() {
    let request = Request::to_metadata_server(&[]);
    let mut headers = Headers::new();
    let found = request.admit(200, &headers);
    assert_eq!(verdict(found), "NotMetadataServer");
    headers.append("Metadata-Flavor", "Google");
    assert_eq!(verdict(request.admit(200, &headers)), "sent");
    headers.append("Metadata-Flavor", "Google");
    assert_eq!(verdict(request.admit(200, &headers)), "NotMetadataServer");
}

#[test]
fn a_socket_is_for_this_machine() {
    let through = |text: &str| Request::get(url(text)).through_socket("/run/agent.sock");
    check(&through("http://localhost/"), "sent");
    check(&through("http://elsewhere.example/"), "PlainHttp");
}
