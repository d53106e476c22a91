//! The CT log, written to and read by somebody else: certificate-transparency-go submits chains and
//! verifies what it is promised, TesseraCT's checker reads every tile and recomputes the tree.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::path::Path;
use std::process::{Command, ExitCode};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::{Arguments, Failed};
use serde_json::{Value, json};
use waxseal_crypto::{Input, Pem, SignatureAlgorithm};
use waxseal_tests_interop::{Asked, IDENTITY, Instance, Tool, our, output, run, trial};

/// A full tile and a partial one.
const CERTIFICATES: usize = 260;

fn main() -> ExitCode {
    let trials = vec![trial(
        "certificate-transparency-go and TesseraCT accept our CT log",
        &[Tool::CtClient, Tool::CtFsck],
        whole,
    )];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn whole() -> Result<(), Failed> {
    let instance = Instance::start()?;
    let log = Log::of(&instance)?;
    let token = instance.token()?;
    let mut chain = Vec::new();
    for _ in 0..CERTIFICATES {
        chain = certificate(&instance, &token)?;
    }
    assert_eq!(chain.len(), 3, "leaf, intermediate and root");
    let roots = log.ctclient(&["get-roots"])?;
    assert!(roots.contains("CA Root"), "{roots}");
    // The certificate itself, which the log has as a precertificate only.
    let uploaded = log.upload("certificate.pem", &chain)?;
    assert!(uploaded.contains("Uploaded chain of 3 certs"), "{uploaded}");
    // Once more, and the precertificate: the same promises.
    let again = log.upload("certificate.pem", &chain)?;
    assert_eq!(promised(&uploaded), promised(&again));
    let precertificate = log.first_precertificate(&instance)?;
    let chain = [&[precertificate], &chain[1..]].concat();
    let uploaded = log.upload("precertificate.pem", &chain)?;
    assert!(uploaded.contains("Uploaded chain of 3 certs"), "{uploaded}");
    let again = log.upload("precertificate.pem", &chain)?;
    assert_eq!(promised(&uploaded), promised(&again));
    let size = wait_for_size(&instance, CERTIFICATES + 1)?;
    assert_eq!(size, CERTIFICATES + 1, "a certificate twice is one entry");

    run(&mut log.fsck(&log.url)?)?;
    let tiles = instance.data().join("ct/tiles");
    run(&mut log.fsck(&format!("file://{}", tiles.display()))?)?;
    let mut ours = Command::new(our("waxseal"));
    ours.args(["log", "fsck", &log.url, "--json", "--instance"]);
    let said = output(ours.arg(instance.data()))?;
    assert!(said.contains("\"layout\":\"static-ct\""), "{said}");
    // One flipped bit in an entry. (TesseraCT's checker waits for ever when it finds one.)
    let bundle = tiles.join("tile/data/000");
    let mut bytes = std::fs::read(&bundle)?;
    bytes[9000] ^= 1;
    std::fs::write(&bundle, bytes)?;
    let mut ours = Command::new(our("waxseal"));
    ours.args(["log", "fsck"]).arg(&tiles).arg("--instance");
    let said = run(ours.arg(instance.data())).unwrap_err();
    assert!(said.contains("log-altered"), "{said}");
    Ok(())
}

/// Time, leaf and index: all that is signed. (ECDSA has many signatures for one text.)
fn promised(said: &str) -> &str {
    said.split_once("\nSignature:").unwrap().0
}

/// What a client knows of the log.
struct Log {
    url: String,
    origin: String,
    key: Vec<u8>,
    folder: tempfile::TempDir,
}

impl Log {
    fn of(instance: &Instance) -> Result<Self, Failed> {
        let json = std::fs::read(instance.file("trusted_root.json"))?;
        let root = waxseal_formats::TrustedRoot::from_json(&json)?;
        let log = &root.ctlogs[0];
        let key = log.public_key.raw_bytes.clone();
        let folder = tempfile::tempdir()?;
        let pem = Pem::new("PUBLIC KEY", key.as_slice()).encode();
        std::fs::write(folder.path().join("ct.pub"), pem)?;
        Ok(Self {
            url: log.base_url.clone(),
            origin: log.base_url.split_once("://").unwrap().1.to_owned(),
            key,
            folder,
        })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn ctclient(&self, arguments: &[&str]) -> Result<String, Failed> {
        let program = Tool::CtClient.path().map_err(|missing| missing.0)?;
        let mut command = Command::new(program);
        command.args(arguments).args(["--log_uri", &self.url]);
        Ok(output(command.arg("--pub_key").arg(self.path("ct.pub")))?)
    }

    /// Submits a chain, and has the promise verified.
    fn upload(&self, name: &str, chain: &[Vec<u8>]) -> Result<String, Failed> {
        let pem: Vec<_> = chain
            .iter()
            .map(|der| Pem::new("CERTIFICATE", der.as_slice()).encode())
            .collect();
        let file = self.path(name);
        std::fs::write(&file, pem.concat())?;
        self.ctclient(&["upload", "--cert_chain", &shown(&file)])
    }

    fn fsck(&self, url: &str) -> Result<Command, String> {
        let program = Tool::CtFsck.path().map_err(|missing| missing.0)?;
        let mut command = Command::new(program);
        command
            .arg(format!("--monitoring_url={url}/"))
            .arg(format!("--origin={}", self.origin))
            .arg(format!("--public_key={}", STANDARD.encode(&self.key)))
            .arg("--ui=false");
        Ok(command)
    }

    /// The precertificate of the log's first entry (static-ct-api, `TileLeaf`).
    fn first_precertificate(&self, instance: &Instance) -> Result<Vec<u8>, Failed> {
        let path = "/ct/tile/data/000.p/1";
        let tile = Asked::of("GET", path)
            .send("localhost", instance.port())?
            .body;
        // A timestamp, the type of a precertificate, the hash of its issuer's key.
        assert_eq!(tile[8..10], [0, 1]);
        let (_, rest) = take(&tile[10 + 32..], 3);
        let (_, rest) = take(rest, 2);
        Ok(take(rest, 3).0.to_vec())
    }
}

/// A vector whose length is told in so many bytes, and what is behind it.
fn take(bytes: &[u8], width: usize) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(width);
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at(length)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A certificate for a fresh key, by the authority's API: leaf first.
fn certificate(instance: &Instance, token: &str) -> Result<Vec<Vec<u8>>, Failed> {
    let provider = waxseal_crypto_aws_lc::provider();
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let key = provider.generate(algorithm)?;
    let signer = provider.signer(&key, algorithm)?;
    let proof = signer.sign_now(Input::Message(IDENTITY.as_bytes()))?;
    let mut asked =
        Asked::of("POST", "/api/v2/signingCert").with("Content-Type", "application/json");
    let body = json!({
        "credentials": {"oidcIdentityToken": token},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": signer.public_key().to_pem()},
            "proofOfPossession": STANDARD.encode(proof),
        },
    });
    asked.body = body.to_string().into_bytes();
    let answer = asked.send("localhost", instance.port())?;
    let json = answer.json();
    let chain = &json["signedCertificateEmbeddedSct"]["chain"]["certificates"];
    let Some(chain) = chain.as_array() else {
        let text = String::from_utf8_lossy(&answer.body);
        return Err(format!("{}: {text}", answer.status).into());
    };
    let pem = |value: &Value| Pem::parse(value.as_str().unwrap()).map(|pem| pem.der.to_vec());
    Ok(chain.iter().map(pem).collect::<Result<_, _>>()?)
}

/// Waits until so many entries are written out.
fn wait_for_size(instance: &Instance, size: usize) -> Result<usize, Failed> {
    for _ in 0..600 {
        let text = std::fs::read_to_string(instance.data().join("ct/tiles/checkpoint"));
        let found = text.ok().and_then(|text| text.lines().nth(1)?.parse().ok());
        if let Some(found) = found.filter(|found| *found >= size) {
            return Ok(found);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Err("the entries are not written out".into())
}
