//! The other way round: our command line signs through foreign servers, and cosign verifies.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_crypto::{Digest, HashAlgorithm, Pem, SignatureAlgorithm, sha256};
use waxseal_formats::ca::TrustBundle;
use waxseal_formats::{
    CertificateAuthority, KeyDetails, PublicKey, Service, ServiceSelector, SigningConfig,
    TimeRange, Timestamp, TransparencyLogInstance, TrustedRoot,
};
use waxseal_tests_interop::{IDENTITY, Instance, Server, Tool, Work, free_port, our, run, wanted};
use waxseal_transport::{Request, Transport as _};
use waxseal_transport_reqwest::ReqwestTransport;

fn main() -> ExitCode {
    let tools = [
        Tool::Fulcio,
        Tool::RekorTiles,
        Tool::TimestampAuthority,
        Tool::Cosign,
    ];
    let missing = tools
        .into_iter()
        .filter_map(|tool| tool.path().err())
        .next();
    let name = "we sign through foreign servers, cosign verifies";
    let trial = match missing {
        Some(missing) => {
            let reason = missing.0;
            let name = format!("{name} ({})", reason.lines().next().unwrap_or_default());
            Trial::test(name, move || Err(Failed::from(reason))).with_ignored_flag(!wanted())
        }
        None => Trial::test(name, sign_through_foreign_servers),
    };
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn sign_through_foreign_servers() -> Result<(), Failed> {
    let broker = Instance::start()?;
    let work = Work::new(|bytes| Digest::of(HashAlgorithm::Sha256, bytes).to_hex());
    let servers = Foreign::start(&work, &broker.issuer())?;
    let root = work.path("trusted_root.json");
    std::fs::write(&root, servers.trusted_root()?.to_json())?;
    let config = work.path("signing_config.json");
    std::fs::write(&config, servers.signing_config().to_json())?;
    let token = work.path("token");
    std::fs::write(&token, broker.token()?)?;
    let bundle = work.path("foreign.sigstore.json");

    let mut sign = Command::new(our("waxseal"));
    sign.arg("sign").arg(&work.artifact).arg("--allow-no-sct");
    sign.arg("--trusted-root")
        .arg(&root)
        .arg("--signing-config")
        .arg(&config);
    sign.arg("--identity-token")
        .arg(format!("@{}", token.display()));
    sign.arg("--bundle").arg(&bundle);
    run(&mut sign)?;

    let issuer = broker.issuer();
    let mut verify = Command::new(our("waxseal"));
    verify
        .arg("verify")
        .arg(&work.artifact)
        .arg("--allow-no-sct");
    verify
        .arg("--trusted-root")
        .arg(&root)
        .arg("--bundle")
        .arg(&bundle);
    run(verify.args(["--identity", IDENTITY, "--issuer", &issuer]))?;

    let cosign = Tool::Cosign.path().map_err(|unavailable| unavailable.0)?;
    let mut verify = Command::new(cosign);
    verify
        .arg("verify-blob")
        .arg("--insecure-ignore-sct")
        .arg("--bundle")
        .arg(&bundle);
    verify.arg("--trusted-root").arg(&root).arg(&work.artifact);
    let expected = [
        "--certificate-identity",
        IDENTITY,
        "--certificate-oidc-issuer",
        &issuer,
    ];
    run(verify.args(expected).env("TUF_ROOT", work.path("tuf")))?;
    Ok(())
}

/// Three servers that somebody else wrote.
struct Foreign {
    _processes: [Server; 3],
    ca: String,
    log: String,
    tsa: String,
    log_key: waxseal_crypto::PublicKey,
}

impl Foreign {
    fn start(work: &Work, issuer: &str) -> Result<Self, String> {
        let tool = |tool: Tool| tool.path().map_err(|unavailable| unavailable.0);
        let (ca, log, tsa) = (free_port()?, free_port()?, free_port()?);
        let config = work.path("fulcio.json");
        let json = format!(
            r#"{{"OIDCIssuers":{{"{issuer}":{{"IssuerURL":"{issuer}","ClientID":"sigstore","Type":"email"}}}}}}"#
        );
        std::fs::write(&config, json).map_err(|error| error.to_string())?;
        let (log_key, log_key_file) = log_key(work)?;

        let mut command = Command::new(tool(Tool::Fulcio)?);
        command.args([
            "serve",
            "--ca",
            "ephemeralca",
            "--ct-log-url",
            "",
            "--host",
            "127.0.0.1",
        ]);
        command.arg("--config-path").arg(&config);
        ports(&mut command, &[("--port", ca)]);
        ports(
            &mut command,
            &[
                ("--grpc-port", free_port()?),
                ("--metrics-port", free_port()?),
            ],
        );
        let fulcio = Server::start(&mut command, &work.path("fulcio.log"))?;

        let mut command = Command::new(tool(Tool::RekorTiles)?);
        command.args([
            "serve",
            "--hostname",
            "localhost",
            "--checkpoint-interval",
            "100ms",
        ]);
        command
            .args(["--batch-max-age", "50ms", "--storage-dir"])
            .arg(work.path("rekor"));
        command.arg("--signer-filepath").arg(&log_key_file);
        ports(
            &mut command,
            &[("--http-port", log), ("--grpc-port", free_port()?)],
        );
        ports(&mut command, &[("--http-metrics-port", free_port()?)]);
        let rekor = Server::start(&mut command, &work.path("rekor.log"))?;

        let mut command = Command::new(tool(Tool::TimestampAuthority)?);
        command.args([
            "serve",
            "--host",
            "127.0.0.1",
            "--timestamp-signer",
            "memory",
        ]);
        command.arg("--disable-ntp-monitoring");
        ports(&mut command, &[("--port", tsa)]);
        let stamps = Server::start(&mut command, &work.path("tsa.log"))?;

        let foreign = Self {
            _processes: [fulcio, rekor, stamps],
            ca: format!("http://localhost:{ca}"),
            log: format!("http://localhost:{log}"),
            tsa: format!("http://localhost:{tsa}/api/v1/timestamp"),
            log_key,
        };
        for url in [
            format!("{}/api/v2/trustBundle", foreign.ca),
            format!("{}/healthz", foreign.log),
            format!("{}/certchain", foreign.tsa),
        ] {
            wait_for(&url).map_err(|error| {
                let logs =
                    ["fulcio.log", "rekor.log", "tsa.log"].map(|name| tail(&work.path(name)));
                format!("{error}\n{}", logs.join("\n"))
            })?;
        }
        Ok(foreign)
    }

    fn trusted_root(&self) -> Result<TrustedRoot, String> {
        let bundle = TrustBundle::from_json(&get(&format!("{}/api/v2/trustBundle", self.ca))?);
        let bundle = bundle.map_err(|error| error.to_string())?;
        let chain: Vec<String> = bundle.chains.into_iter().next().unwrap_or_default();
        let stamps = String::from_utf8(get(&format!("{}/certchain", self.tsa))?);
        let stamps = stamps.map_err(|error| error.to_string())?;
        let origin = "localhost";
        let id = [origin.as_bytes(), b"\n\x01", self.log_key.key_bytes()].concat();
        Ok(TrustedRoot {
            tlogs: vec![TransparencyLogInstance {
                base_url: self.log.clone(),
                hash_algorithm: waxseal_formats::HashAlgorithm::new("SHA2_256"),
                public_key: PublicKey {
                    raw_bytes: self.log_key.spki_der().to_vec(),
                    key_details: KeyDetails::new("PKIX_ED25519"),
                    valid_for: Some(always()),
                },
                log_id: sha256(&id).to_vec(),
                checkpoint_key_id: None,
                operator: "foreign".to_owned(),
            }],
            certificate_authorities: vec![authority(&self.ca, &chain.join("\n"))?],
            timestamp_authorities: vec![authority(&self.tsa, &stamps)?],
            ..TrustedRoot::default()
        })
    }

    fn signing_config(&self) -> SigningConfig {
        let service = |url: &str, major_api_version| Service {
            url: url.to_owned(),
            major_api_version,
            valid_for: Some(always()),
            operator: "foreign".to_owned(),
        };
        SigningConfig {
            ca_urls: vec![service(&self.ca, 1)],
            log_urls: vec![service(&self.log, 2)],
            tsa_urls: vec![service(&self.tsa, 1)],
            log_config: Some(ServiceSelector::Any),
            tsa_config: Some(ServiceSelector::Any),
            ..SigningConfig::default()
        }
    }
}

fn ports(command: &mut Command, ports: &[(&str, u16)]) {
    for (flag, port) in ports {
        command.arg(flag).arg(port.to_string());
    }
}

fn log_key(work: &Work) -> Result<(waxseal_crypto::PublicKey, PathBuf), String> {
    let provider = waxseal_crypto_aws_lc::provider();
    let algorithm = SignatureAlgorithm::Ed25519;
    let key = provider
        .generate(algorithm)
        .map_err(|error| error.to_string())?;
    let signer = provider
        .signer(&key, algorithm)
        .map_err(|error| error.to_string())?;
    let path = work.path("rekor.pem");
    std::fs::write(&path, key.to_pem().as_bytes()).map_err(|error| error.to_string())?;
    Ok((waxseal_crypto::Signer::public_key(&*signer).clone(), path))
}

fn authority(uri: &str, pem: &str) -> Result<CertificateAuthority, String> {
    let chain = Pem::parse_many(pem).map_err(|error| error.to_string())?;
    Ok(CertificateAuthority {
        organization: "foreign".to_owned(),
        common_name: "foreign".to_owned(),
        uri: uri.to_owned(),
        cert_chain: chain.into_iter().map(|block| block.der).collect(),
        valid_for: Some(always()),
        operator: "foreign".to_owned(),
    })
}

fn always() -> TimeRange {
    TimeRange {
        start: Timestamp::parse("2020-01-01T00:00:00Z"),
        end: None,
    }
}

fn wait_for(url: &str) -> Result<(), String> {
    let started = Instant::now();
    loop {
        match get(url) {
            Ok(_) => return Ok(()),
            Err(error) if started.elapsed() > Duration::from_secs(30) => {
                return Err(format!("{url}: {error}"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn get(url: &str) -> Result<Vec<u8>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let transport = ReqwestTransport::builder()
            .build()
            .map_err(|error| error.to_string())?;
        let url = url.parse().map_err(|error| format!("{error}"))?;
        let answer = transport
            .send(Request::get(url))
            .await
            .map_err(|error| format!("{error:?}"))?;
        answer
            .expect_status(&[200])
            .map(|a| a.body)
            .map_err(|error| error.to_string())
    })
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
