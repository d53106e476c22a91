//! The log's API beside rekor-tiles': the same requests to both, and where they answer otherwise,
//! why; gRPC by a client that somebody else wrote; and what only we have, over the wire.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::process::{Command, ExitCode};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::{Arguments, Failed};
use serde_json::{Value, json};
use waxseal_crypto::SignatureAlgorithm;
use waxseal_tests_interop::{
    Answer, Asked, Instance, Records, RekorTiles, Setup, Tool, output, trial, workspace,
};
use waxseal_tlog::{
    Checkpoint, ConsistencyProof, EntryBundle, LogKey, SignedNote, TlogProof, leaf_hash,
};

const ENTRIES: &str = "/api/v2/log/entries";
const HASHED: &str = "hashedRekordRequestV002";
const P256: &str = "PKIX_ECDSA_P256_SHA_256";

fn main() -> ExitCode {
    let mut trials = vec![
        trial(
            "rekor-tiles and we answer alike",
            &[Tool::RekorTiles],
            alike,
        ),
        trial(
            "grpcio speaks with rekor-tiles and with us",
            &[Tool::RekorTiles, Tool::PythonGrpc],
            grpc,
        ),
    ];
    trials.push(trial("what the log has besides", &[], besides));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// An answer as the table has it: the status, gRPC's code (0: the body is none of a refusal), and how
/// the message begins.
type Told = (u16, i64, &'static str);

const CREATED: Told = (201, 0, "");
const INVALID: Told = (400, 3, "invalid hashedrekord request");
const NO_KIND: Told = (400, 3, "invalid type, must be hashedrekord");
const NOT_FOUND: Told = (404, 5, "Not Found");
const NOTHING_HERE: Told = (404, 5, "there is nothing at this path");
const NOT_IN_LOG: Told = (404, 5, "the log has nothing at this path");
const NO_METHOD: Told = (501, 12, "Method Not Allowed");
const OTHER_METHOD: Told = (405, 12, "this path does not take this method");

struct Row {
    name: &'static str,
    asked: Asked,
    ours: Told,
    theirs: Told,
    /// Why the status is another one; empty if it is not.
    why: &'static str,
}

#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    records: Records,
    made: usize,
}

impl Table {
    /// A request that nobody has made before.
    fn fresh(&mut self) -> Value {
        self.made += 1;
        self.records.hashed(self.made)
    }

    /// The same with one member changed; `null` takes it away.
    fn fresh_but(&mut self, path: &str, value: Value) -> Value {
        let mut request = self.fresh();
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = request.pointer_mut(&format!("/{HASHED}{parent}")).unwrap();
        let members = parent.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.to_owned(), value);
        }
        request
    }

    fn row(&mut self, name: &'static str, asked: Asked, ours: Told, theirs: Told) -> &mut Row {
        let why = "";
        self.rows.push(Row {
            name,
            asked,
            ours,
            theirs,
            why,
        });
        self.rows.last_mut().unwrap()
    }

    /// Both say the same in the same words.
    fn same(&mut self, name: &'static str, body: impl Into<Vec<u8>>, told: Told) {
        self.row(name, post(body), told, told);
    }

    /// Both refuse it as malformed: what Go says begins otherwise each time.
    fn malformed(&mut self, name: &'static str, body: impl Into<Vec<u8>>, ours: &'static str) {
        self.row(name, post(body), (400, 3, ours), (400, 3, ""));
    }

    fn other(
        &mut self,
        name: &'static str,
        asked: Asked,
        ours: Told,
        theirs: Told,
        why: &'static str,
    ) {
        self.row(name, asked, ours, theirs).why = why;
    }
}

fn post(body: impl Into<Vec<u8>>) -> Asked {
    let mut asked = Asked::of("POST", ENTRIES).with("Content-Type", "application/json");
    asked.body = body.into();
    asked
}

fn text(request: &Value) -> String {
    request.to_string()
}

/// Everything but what a good entry is.
fn table() -> Vec<Row> {
    let mut table = Table::default();
    entries(&mut table);
    keys(&mut table);
    fields(&mut table);
    encodings(&mut table);
    documents(&mut table);
    transfers(&mut table);
    paths(&mut table);
    table.rows
}

fn entries(table: &mut Table) {
    let first = text(&table.fresh());
    table.same("an entry", first.clone(), CREATED);
    let there = "an equivalent entry already exists in the transparency log with index ";
    table.same("the same again", first.clone(), (409, 6, there));
    table.other(
        "the same, and its entry is preferred",
        post(first).with("Prefer", "return=representation"),
        (200, 0, ""),
        (409, 6, there),
        "who retries has the proof at once",
    );
    let dsse = text(&table.records.dsse(b"{}"));
    let why = "sigstore-js and sigstore-rust still send it";
    table.other("an envelope", post(dsse), CREATED, NO_KIND, why);
}

fn keys(table: &mut Table) {
    let p384 = Records::of(
        SignatureAlgorithm::EcdsaP384Sha384,
        "PKIX_ECDSA_P384_SHA_384",
    );
    table.same("P-384", text(&p384.hashed(1)), CREATED);
    let mut short = p384.hashed(2);
    short[HASHED]["digest"] = json!(STANDARD.encode([1; 32]));
    table.same("P-384 over 32 bytes", text(&short), INVALID);
    let rsa = Records::of(
        SignatureAlgorithm::RsaPkcs1Sha256,
        "PKIX_RSA_PKCS1V15_2048_SHA256",
    );
    table.same("RSA-2048", text(&rsa.hashed(1)), CREATED);
    let why = "key details and key must agree: the log would vouch for a false name";
    for (name, details) in [
        ("RSA, called PSS", "PKIX_RSA_PSS_2048_SHA256"),
        ("RSA-2048, called 3072", "PKIX_RSA_PKCS1V15_3072_SHA256"),
    ] {
        let mut request = rsa.hashed(table.made + 2);
        table.made += 1;
        request[HASHED]["signature"]["verifier"]["keyDetails"] = json!(details);
        table.other(name, post(text(&request)), INVALID, CREATED, why);
    }
    let details = "/signature/verifier/keyDetails";
    for (name, value) in [
        ("P-256, called P-384", json!("PKIX_ECDSA_P384_SHA_384")),
        ("P-256, called Ed25519", json!("PKIX_ED25519")),
        (
            "P-256, called a retired name",
            json!("PKIX_ECDSA_P256_HMAC_SHA_256"),
        ),
        ("an unknown number of key details", json!(9999)),
        ("no key details", json!(0)),
        ("key details absent", Value::Null),
    ] {
        let request = text(&table.fresh_but(details, value));
        table.same(name, request, INVALID);
    }
    let request = text(&table.fresh_but(details, json!(5)));
    table.same("key details by number", request, CREATED);
    let request = text(&table.fresh_but(details, json!("NOPE")));
    table.malformed("an unknown name of key details", request, INVALID.2);
    let request = text(&table.fresh_but(details, json!("5")));
    table.malformed("a number as a name", request, "malformed request");
    let request = text(&table.fresh_but(details, json!(true)));
    table.malformed("key details of another type", request, "malformed request");
    let stranger = Records::new().hashed(0);
    let other = stranger[HASHED]["signature"]["verifier"]["publicKey"].clone();
    let request = text(&table.fresh_but("/signature/verifier/publicKey", other));
    table.same("somebody else's key", request, INVALID);
    for (name, value) in [
        ("a key that is none", json!({"rawBytes": "AAAA"})),
        ("a key without bytes", json!({"rawBytes": ""})),
        ("a key without members", json!({})),
        ("no key", Value::Null),
    ] {
        let request = text(&table.fresh_but("/signature/verifier/publicKey", value));
        table.same(name, request, INVALID);
    }
    let mut request = table.fresh();
    request[HASHED]["signature"]["verifier"] =
        json!({"x509Certificate": {"rawBytes": "AAAA"}, "keyDetails": P256});
    table.same("a certificate that is none", text(&request), INVALID);
}

fn fields(table: &mut Table) {
    for (name, path) in [
        ("no verifier", "/signature/verifier"),
        ("no signature", "/signature"),
        ("no content", "/signature/content"),
        ("no digest", "/digest"),
    ] {
        let request = text(&table.fresh_but(path, Value::Null));
        table.same(name, request, INVALID);
    }
    for (name, path, value) in [
        ("an empty content", "/signature/content", json!("")),
        ("another content", "/signature/content", json!("AAAA")),
        ("another digest", "/digest", json!(STANDARD.encode([1; 32]))),
        ("a short digest", "/digest", json!(STANDARD.encode([1; 31]))),
        ("a long digest", "/digest", json!(STANDARD.encode([1; 64]))),
    ] {
        let request = text(&table.fresh_but(path, value));
        table.same(name, request, INVALID);
    }
    let mut request = table.fresh();
    request[HASHED]["signature"]["verifier"]["x509Certificate"] = json!({"rawBytes": "AAAA"});
    table.malformed("key and certificate", text(&request), "malformed request");
    let mut request = table.fresh();
    request[HASHED]["signature"]["verifier"]["x509Certificate"] = Value::Null;
    table.same("a key, and null for a certificate", text(&request), CREATED);
    let mut request = table.fresh();
    request["dsseRequestV002"] = Value::Null;
    table.same(
        "an entry, and null for an envelope",
        text(&request),
        CREATED,
    );
    let mut request = table.fresh();
    request["dsseRequestV002"] = table.records.dsse(b"1")["dsseRequestV002"].clone();
    table.malformed(
        "an entry and an envelope",
        text(&request),
        "malformed request",
    );
    let unknown = "proto: unknown field \"foo\"";
    let mut request = table.fresh();
    request["foo"] = json!(1);
    table.malformed("an unknown field", text(&request), unknown);
    request["foo"] = Value::Null;
    table.malformed("an unknown field that is null", text(&request), unknown);
    let request = text(&table.fresh_but("/signature/foo", json!(1)));
    table.malformed("an unknown field inside", request, unknown);
    let inner = table.fresh()[HASHED].clone();
    let request = json!({"HashedRekordRequestV002": inner});
    let unknown = "proto: unknown field \"HashedRekordRequestV002\"";
    table.malformed("a field in other letters", text(&request), unknown);
    let snake = snake_case(&table.fresh());
    table.same("snake case", text(&snake), CREATED);
    let mut both = table.fresh();
    both["hashed_rekord_request_v002"] = snake["hashed_rekord_request_v002"].clone();
    table.malformed("both spellings", text(&both), "malformed request");
    let once = text(&table.fresh());
    let twice = format!("{},{}", &once[..once.len() - 1], &once[1..]);
    table.malformed("a field twice", twice, "malformed request");
    let once = text(&table.fresh());
    let twice = once.replace("\"digest\":", "\"digest\":\"AAAA\",\"digest\":");
    table.malformed("a field twice, inside", twice, "malformed request");
    table.same(
        "an entry that is null",
        format!("{{\"{HASHED}\":null}}"),
        NO_KIND,
    );
    table.same(
        "an entry without fields",
        format!("{{\"{HASHED}\":{{}}}}"),
        INVALID,
    );
    let list = format!("{{\"{HASHED}\":[]}}");
    table.malformed("an entry that is a list", list, "malformed request");
}

fn snake_case(request: &Value) -> Value {
    let inner = &request[HASHED];
    let verifier = &inner["signature"]["verifier"];
    json!({"hashed_rekord_request_v002": {
        "digest": inner["digest"],
        "signature": {
            "content": inner["signature"]["content"],
            "verifier": {
                "public_key": {"raw_bytes": verifier["publicKey"]["rawBytes"]},
                "key_details": verifier["keyDetails"],
            },
        },
    }})
}

/// What a string of base64 may look like.
fn encodings(table: &mut Table) {
    let url_safe = |value: &Value| {
        let text = value.as_str().unwrap().replace('+', "-").replace('/', "_");
        json!(text.trim_end_matches('='))
    };
    let mut request = table.fresh();
    let signature = &mut request[HASHED]["signature"];
    signature["content"] = url_safe(&signature["content"]);
    let key = &mut signature["verifier"]["publicKey"];
    key["rawBytes"] = url_safe(&key["rawBytes"]);
    request[HASHED]["digest"] = url_safe(&request[HASHED]["digest"]);
    table.same("the other alphabet, unpadded", text(&request), CREATED);
    let request = text(&table.fresh_but("/digest", json!("?!")));
    table.malformed("no base64", request, "malformed request: field `digest`");
    let request = text(&table.fresh_but("/digest", json!(7)));
    table.malformed(
        "a number for bytes",
        request,
        "malformed request: field `digest`",
    );
    let mut request = table.fresh();
    let digest = request[HASHED]["digest"].as_str().unwrap().to_owned();
    request[HASHED]["digest"] = json!(format!("{}\n{}", &digest[..20], &digest[20..]));
    table.other(
        "base64 in two lines",
        post(text(&request)),
        CREATED,
        (400, 3, ""),
        "they take it where the padding comes out even; `base64` of coreutils writes lines",
    );
    let mut request = table.fresh();
    let digest = request[HASHED]["digest"].as_str().unwrap();
    // 43 digits for 32 bytes: the last has two bits that mean nothing.
    let last = digest.as_bytes()[42];
    let other = char::from(last + 1);
    request[HASHED]["digest"] = json!(format!("{}{other}=", &digest[..42]));
    table.other(
        "bits behind the last byte",
        post(text(&request)),
        (400, 3, "malformed request: field `digest`"),
        CREATED,
        "one value, one text (RFC 4648 §3.5)",
    );
}

/// What a document of JSON may look like.
fn documents(table: &mut Table) {
    table.same("no field", "{}", NO_KIND);
    table.same("no body", "", NO_KIND);
    table.same("cut off", "{\"hashedRekord", (400, 3, "unexpected EOF"));
    for (name, body) in [
        ("null", &b"null"[..]),
        ("a list", b"[]"),
        ("a string", b"\"x\""),
        ("a number", b"1"),
        ("no JSON", b"hello"),
        ("no UTF-8", b"{\"\xff\":1}"),
        ("a byte-order mark", b"\xef\xbb\xbf{}"),
    ] {
        table.malformed(name, body, "malformed request");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    table.malformed("deep", deep, "malformed request");
    let padded = format!(" \n\t{} \n\t", table.fresh());
    table.same("white space around it", padded, CREATED);
    let why = "protojson takes one document: the rest would be nobody's";
    for (name, rest) in [("bytes behind it", "xx"), ("a document behind it", " {}")] {
        let body = format!("{}{rest}", table.fresh());
        let refused = (400, 3, "malformed request: bytes after the JSON value");
        table.other(name, post(body), refused, CREATED, why);
    }
    let content = STANDARD.encode(vec![1; 100_000]);
    let request = text(&table.fresh_but("/signature/content", json!(content)));
    let too_long = (413, 3, "invalid hashedrekord request: the entry would have");
    let why = "413 tells that it is too long";
    table.other("a long entry", post(request), too_long, INVALID, why);
    let request = text(&table.fresh_but("/digest", json!("A".repeat(4 << 20))));
    table.other(
        "a body over 4 MiB",
        post(request),
        (413, 3, "the body is larger than 4194304 bytes"),
        (400, 3, "http: request body too large"),
        "413 is what it is",
    );
}

/// How a body may come.
fn transfers(table: &mut Table) {
    let typed = |body: String, kind: Option<&str>| {
        let mut asked = Asked::of("POST", ENTRIES);
        asked.body = body.into_bytes();
        match kind {
            Some(kind) => asked.with("Content-Type", kind),
            None => asked,
        }
    };
    let body = text(&table.fresh());
    let asked = typed(body, Some("Application/JSON; charset=utf-8"));
    table.row("JSON with a parameter", asked, CREATED, CREATED);
    let refused = (415, 3, "the content type must be application/json");
    let why = "no page of another site can send JSON without asking";
    for (name, kind) in [
        ("no content type", None),
        ("text", Some("text/plain")),
        ("a form", Some("application/x-www-form-urlencoded")),
        ("protobuf's type", Some("application/x-protobuf")),
    ] {
        let body = text(&table.fresh());
        table.other(name, typed(body, kind), refused, CREATED, why);
    }
    let asked = post(text(&table.fresh())).with("Content-Encoding", "identity");
    table.row("an identity encoding", asked, CREATED, CREATED);
    let asked = post(text(&table.fresh())).with("Content-Encoding", "gzip");
    let refused = (415, 3, "an encoded body is not taken");
    let why = "they ignore the encoding; a bomb is refused unread (S-02)";
    table.other("said to be in gzip", asked, refused, CREATED, why);
    let asked = post(text(&table.fresh())).with("Accept", "application/xml");
    table.row("XML is wanted", asked, CREATED, CREATED);
    let asked = post(text(&table.fresh())).with("X-HTTP-Method-Override", "GET");
    table.row("a method in a header", asked, CREATED, CREATED);
    let mut asked = post(text(&table.fresh()));
    asked.path += "?x=1";
    table.row("a query", asked, CREATED, CREATED);
    let mut asked = post(text(&table.fresh()));
    asked.path += "/";
    table.row("a slash at the end", asked, NOTHING_HERE, NOT_FOUND);
    let why = "405 is what it is, with the methods that there are";
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let asked = Asked::of(method, ENTRIES);
        table.other(method, asked, OTHER_METHOD, NO_METHOD, why);
    }
    let asked = Asked::of("HEAD", ENTRIES);
    table.other("HEAD", asked, (405, 0, ""), (501, 0, ""), why);
}

/// What is read.
fn paths(table: &mut Table) {
    let reads = "they serve no reads: a bucket does";
    let get = |path: &str| Asked::of("GET", path);
    let found = (200, 0, "");
    let absent = (501, 12, "method Get");
    for path in [
        "/api/v2/checkpoint",
        "/api/v2/tile/0/000.p/1",
        "/api/v2/tile/entries/000.p/1",
    ] {
        table.other("what they leave out", get(path), found, absent, reads);
    }
    for path in ["/checkpoint", "/tile/0/000.p/1", "/tile/entries/000.p/9"] {
        table.other("at the root", get(path), found, NOT_FOUND, reads);
    }
    let asked = Asked::of("HEAD", "/checkpoint");
    table.other("HEAD of a read", asked, found, (404, 0, ""), reads);
    let tile = "/tile/entries/000.p/9";
    let asked = get(tile).with("Range", "bytes=0-1");
    table.other("a part", asked, (206, 0, ""), NOT_FOUND, reads);
    let asked = get(tile).with("Range", "bytes=9999999-");
    table.other(
        "a part behind the end",
        asked,
        (416, 0, ""),
        NOT_FOUND,
        reads,
    );
    let asked = get(tile).with("If-None-Match", "\"tile/entries/000.p/9\"");
    table.other("what is known", asked, (304, 0, ""), NOT_FOUND, reads);
    for path in [
        "/tile/0/000",
        "/tile/0/001.p/1",
        "/tile/64/000",
        "/tile/x/000",
        "/tile/0/0",
        "/tile/0/000.p/0",
        "/tile/0/000.p/01",
        "/tile/0/000.p/256",
        "/tile/0/000.p/255",
        "/tile/0/..%2f..%2fcheckpoint",
    ] {
        table.row("no tile of the tree", get(path), NOT_IN_LOG, NOT_FOUND);
    }
    table.row("nothing", get("/nope"), NOTHING_HERE, NOT_FOUND);
    table.row(
        "nothing below the API",
        get("/api/v2/"),
        NOTHING_HERE,
        NOT_FOUND,
    );
    table.row("whether it lives", get("/healthz"), found, found);
    let asked = Asked::of("POST", "/healthz");
    let why = "405 is what it is";
    table.other("to a probe", asked, OTHER_METHOD, NO_METHOD, why);
    let asked = Asked::of("POST", "/api/v2/checkpoint");
    table.other("to a read", asked, OTHER_METHOD, NO_METHOD, why);
    let by_index = get("/api/v2/log/entries/1");
    let why = "entries are found by their index";
    table.other("an entry", by_index, found, NOT_FOUND, why);
}

fn alike() -> Result<(), Failed> {
    let instance = Instance::start()?;
    let peer = RekorTiles::start("log.local")?;
    let rows = table();
    assert_eq!(rows.len(), 113, "rows of the table");
    let mut wrong = Vec::new();
    for row in &rows {
        // One after the other: rows build on what is there.
        let ours = row.asked.send("localhost", instance.port())?;
        let theirs = row.asked.send("127.0.0.1", peer.http)?;
        if let Err(error) = compare(row, &ours, &theirs) {
            let path = &row.asked.path;
            wrong.push(format!("{} ({path}): {error}", row.name));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    the_flag_for_envelopes()
}

/// Where envelopes are refused, they are refused as there.
fn the_flag_for_envelopes() -> Result<(), Failed> {
    let mut setup = Setup::default();
    setup.config = "[transparency_log]\nrefuse_dsse = true\n".to_owned();
    let instance = Instance::start_with(setup)?;
    let records = Records::new();
    let answer = post(text(&records.dsse(b"{}"))).send("localhost", instance.port())?;
    is_told(&answer, NO_KIND)?;
    assert_eq!(answer.json()["details"][0]["reason"], "DSSE_NOT_TAKEN");
    let answer = post(text(&records.hashed(0))).send("localhost", instance.port())?;
    is_told(&answer, CREATED)?;
    Ok(())
}

fn compare(row: &Row, ours: &Answer, theirs: &Answer) -> Result<(), String> {
    is_told(ours, row.ours).map_err(|error| format!("we: {error}"))?;
    is_told(theirs, row.theirs).map_err(|error| format!("they: {error}"))?;
    let differ = (row.ours.0, row.ours.1) != (row.theirs.0, row.theirs.1);
    if differ == row.why.is_empty() {
        return Err("the reason goes with a difference, and with nothing else".to_owned());
    }
    if ours.status == 201 && theirs.status == 201 {
        same_entry(&ours.json(), &theirs.json())?;
    }
    if ours.status == 409
        && ours.header("x-log-index").is_empty() != theirs.header("x-log-index").is_empty()
    {
        return Err("x-log-index is told by one only".to_owned());
    }
    if ours.status == 405 && ours.header("allow").is_empty() {
        return Err("405 names no method that is taken".to_owned());
    }
    // A body that is told to be JSON is told so in the same way.
    let kinds = [ours, theirs].map(|one| one.header("content-type"));
    let both_json = ours.status == theirs.status && row.ours.1 + row.theirs.1 > 0;
    if both_json && kinds != ["application/json"; 2] {
        return Err(format!("content types {kinds:?}"));
    }
    Ok(())
}

/// Whether that is the answer; a refusal has `code`, `message` and `details` and nothing else, and
/// ours a reason for machines.
fn is_told(answer: &Answer, (status, code, message): Told) -> Result<(), String> {
    let shown = || {
        let body: String = String::from_utf8_lossy(&answer.body)
            .chars()
            .take(200)
            .collect();
        format!("{} {body}", answer.status)
    };
    if answer.status != status {
        return Err(shown());
    }
    if code == 0 {
        return Ok(());
    }
    let json = answer.json();
    let members: Vec<_> = json
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, _)| k)
        .collect();
    let found = json["message"].as_str().unwrap_or_default();
    // Go takes turns with the kind of space behind `proto:`, so that nobody depends on it.
    let found = found.replace('\u{a0}', " ").replace("  ", " ");
    if members != ["code", "details", "message"]
        || json["code"] != code
        || !found.starts_with(message)
    {
        return Err(shown());
    }
    let details = json["details"].as_array().ok_or_else(shown)?;
    let is_ours = !answer.header("x-request-id").is_empty();
    let reasons = details.iter().filter(|one| one["reason"].is_string());
    if reasons.count() == usize::from(is_ours) {
        Ok(())
    } else {
        Err(shown())
    }
}

/// The same entry, but for where it lies: members, their types, and every byte of what was signed.
fn same_entry(ours: &Value, theirs: &Value) -> Result<(), String> {
    for path in [
        "/canonicalizedBody",
        "/kindVersion",
        "/integratedTime",
        "/inclusionPromise",
    ] {
        let both = [ours, theirs].map(|entry| entry.pointer(path));
        if both[0].is_none() || both[0] != both[1] {
            return Err(format!("{path}: {both:?}"));
        }
    }
    if shape(ours) == shape(theirs) {
        Ok(())
    } else {
        Err(format!("{} and {}", shape(ours), shape(theirs)))
    }
}

/// A document with every value replaced by its type; of lists, only that they are.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(_) => json!("list"),
        Value::String(_) => json!("string"),
        Value::Number(_) => json!("number"),
        Value::Bool(_) => json!("bool"),
        Value::Null => Value::Null,
    }
}

fn grpc() -> Result<(), Failed> {
    let instance = Instance::start()?;
    let peer = RekorTiles::start("log.local")?;
    let records = Records::new();
    let mut bad = records.hashed(1);
    bad[HASHED]["digest"] = json!(STANDARD.encode([1; 31]));
    let folder = tempfile::tempdir()?;
    let requests = folder.path().join("requests.json");
    std::fs::write(&requests, json!([records.hashed(0), bad]).to_string())?;
    let ask = |address: String| -> Result<Value, Failed> {
        let python = Tool::PythonGrpc.path().map_err(|missing| missing.0)?;
        let mut command = Command::new(python);
        command.arg(workspace().join("tests/interop/py/log_grpc.py"));
        let said = output(command.arg(address).arg(&requests))?;
        Ok(serde_json::from_str(&said)?)
    };
    let ours = ask(format!("localhost:{}", instance.port()))?;
    let theirs = ask(format!("127.0.0.1:{}", peer.grpc))?;
    // Ours is the port that speaks HTTP, too.
    let answer = Asked::of("GET", "/checkpoint").send("localhost", instance.port())?;
    assert_eq!(answer.status, 200);
    for service in ["dev.sigstore.rekor.v2.Rekor", "grpc.health.v1.Health"] {
        for told in [&ours, &theirs] {
            let services = told["services"].as_array().unwrap();
            assert!(services.contains(&json!(service)), "{services:?}");
        }
    }
    assert_eq!(ours["methods"], theirs["methods"]);
    assert_eq!(ours["methods"].as_array().unwrap().len(), 4);
    let created = |told: &Value| told["created"]["message"].clone();
    same_entry_of_messages(&created(&ours), &created(&theirs))?;
    for call in [
        "created",
        "duplicate",
        "refused",
        "empty",
        "healthServer",
        "healthLog",
    ] {
        assert_eq!(ours[call]["code"], theirs[call]["code"], "{call}");
    }
    for (call, index) in [("duplicate", "1"), ("refused", ""), ("empty", "")] {
        let words = |told: &Value| told[call]["message"].as_str().unwrap().to_owned();
        let (ours_says, theirs_says) = (words(&ours), words(&theirs));
        let common = theirs_says.trim_end_matches(char::is_numeric);
        assert!(ours_says.starts_with(common), "{ours_says}, {theirs_says}");
        assert_eq!(ours[call]["hasDetails"], true, "{call}");
        assert_eq!(ours[call]["index"].as_str().unwrap_or(""), index, "{call}");
    }
    assert_eq!(theirs["duplicate"]["index"], "0");
    // They declare the reads, and answer none; of health they know one answer.
    for call in ["checkpoint", "tile", "bundle"] {
        assert_eq!(theirs[call]["code"], "UNIMPLEMENTED", "{call}");
        assert_eq!(ours[call]["code"], "OK", "{call}");
        let data = STANDARD.decode(ours[call]["message"]["data"].as_str().unwrap())?;
        let path = match call {
            "tile" => "/tile/0/000.p/1",
            "bundle" => "/tile/entries/000.p/1",
            _ => "/checkpoint",
        };
        let over_http = Asked::of("GET", path).send("localhost", instance.port())?;
        assert_eq!(data, over_http.body, "{call}");
    }
    assert_eq!(theirs["healthNobody"]["message"]["status"], "SERVING");
    assert_eq!(ours["healthNobody"]["code"], "NOT_FOUND");
    Ok(())
}

/// Messages leave out what is zero: the members that both must have.
fn same_entry_of_messages(ours: &Value, theirs: &Value) -> Result<(), String> {
    for path in ["/canonicalizedBody", "/kindVersion"] {
        if ours.pointer(path).is_none() || ours.pointer(path) != theirs.pointer(path) {
            return Err(format!("{path} is another"));
        }
    }
    for path in [
        "/logId/keyId",
        "/inclusionProof/rootHash",
        "/inclusionProof/checkpoint/envelope",
    ] {
        if ours.pointer(path).is_none() || theirs.pointer(path).is_none() {
            return Err(format!("{path} is missing"));
        }
    }
    Ok(())
}

/// Batches, look-ups, proofs and full bundles: of the running program, as a client sees them.
fn besides() -> Result<(), Failed> {
    let instance = Instance::start()?;
    let ask = |asked: Asked| asked.send("localhost", instance.port());
    let get = |path: &str| ask(Asked::of("GET", path));
    let records = Records::new();
    // Five batches of 64, the second entry of the first refused: one full bundle, and more.
    for batch in 0..5 {
        let mut requests: Vec<_> = (0..64).map(|at| records.hashed(64 * batch + at)).collect();
        if batch == 0 {
            requests[1][HASHED]["digest"] = json!("AAAA");
        }
        let mut asked = post(json!({ "requests": requests }).to_string());
        asked.path += ":batch";
        let answer = ask(asked)?.json();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 64);
        for (at, result) in results.iter().enumerate() {
            let expected = if (batch, at) == (0, 1) { 400 } else { 201 };
            assert_eq!(result["status"], expected, "{result}");
        }
    }
    let key = LogKey::new(instance.log_key()?);
    let open = |note: &str| -> Result<Checkpoint, Failed> {
        Ok(Checkpoint::open(&SignedNote::parse(note)?, &key, &[])?)
    };
    let newest = get("/checkpoint")?;
    let newest = open(std::str::from_utf8(&newest.body)?)?;
    assert_eq!(newest.tree_size(), 320);
    // An entry by its index, by its hash, and as a proof in text.
    let by_index = get(&format!("{ENTRIES}/255"))?;
    let entry = by_index.json();
    let leaf = leaf_hash(&STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap())?);
    let hex: String = leaf.iter().map(|byte| format!("{byte:02x}")).collect();
    let by_hash = get(&format!("{ENTRIES}/by-hash/{hex}"))?;
    assert_eq!((by_hash.status, by_hash.json()), (200, entry.clone()));
    let asked = Asked::of("GET", &format!("{ENTRIES}/255/proof")).with("Accept", "text/plain");
    let text = ask(asked)?;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    let proof = TlogProof::parse(std::str::from_utf8(&text.body)?)?;
    proof.check(&leaf, &open(&proof.checkpoint.to_string())?)?;
    let envelope = &entry["inclusionProof"]["checkpoint"]["envelope"];
    assert_eq!(open(envelope.as_str().unwrap())?.tree_size(), 320);
    // From the first checkpoint that is kept to the newest.
    let first = get("/checkpoint/1")?;
    let first = open(std::str::from_utf8(&first.body)?)?;
    let answer = get("/api/v2/log/proof/consistency?firstSize=1")?.json();
    let hashes = answer["hashes"].as_array().unwrap().iter();
    let proof = ConsistencyProof {
        old_size: 1,
        new_size: 320,
        hashes: hashes
            .map(|hash| STANDARD.decode(hash.as_str().unwrap()).unwrap())
            .map(|hash| hash.try_into().unwrap())
            .collect(),
    };
    proof.check(first.root_hash(), newest.root_hash())?;
    full_bundle(&instance)
}

/// A full bundle: immutable, in parts, compressed for who asks, and only told where it is news.
fn full_bundle(instance: &Instance) -> Result<(), Failed> {
    let ask = |asked: Asked| asked.send("localhost", instance.port());
    let path = "/tile/entries/000";
    let get = || Asked::of("GET", path);
    let whole = ask(get())?;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("cache-control"), "max-age=604800, immutable");
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    let bundle = EntryBundle::parse(&whole.body, 256)?;
    assert_eq!(bundle.entries().len(), 256);
    let head = ask(Asked::of("HEAD", path))?;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-length", "etag", "cache-control", "content-type"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    let part = ask(get().with("Range", "bytes=100-199"))?;
    assert_eq!((part.status, &*part.body), (206, &whole.body[100..200]));
    let known = ask(get().with("If-None-Match", whole.header("etag")))?;
    assert_eq!((known.status, known.body.len()), (304, 0));
    for encoding in ["gzip", "zstd"] {
        let told = ask(get().with("Accept-Encoding", encoding))?;
        assert_eq!(told.header("content-encoding"), encoding);
        assert_eq!(told.header("vary"), "accept-encoding");
        assert!(told.body.len() < whole.body.len());
        assert_ne!(told.header("etag"), whole.header("etag"));
    }
    Ok(())
}
