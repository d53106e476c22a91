//! `waxseal sign`, `attest` and `identity token` as processes: exit codes, and what is on disk after.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use waxseal_crypto::{Clock as _, SignatureAlgorithm};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_formats::{ClientTrustConfig, SigningConfig};
use waxseal_identity::AmbientProvider;
use waxseal_pki::timestamp::TimestampRequest;
use waxseal_tests_e2e::{Deployment, Forgery, Liar, Lie, Outcome, Proxy, Scts, e2e, text, waxseal};

use crate::common::{CA, LOG, TSA};
use crate::rules::TokenService;

/// A folder with files to sign, an identity token, and an instance.
struct Desk<'a> {
    deployment: &'a Deployment,
    folder: TempDir,
    address: String,
    instance: String,
}

const TOKEN: [&str; 2] = ["--identity-token", "@token"];

impl<'a> Desk<'a> {
    async fn new(deployment: &'a Deployment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("token", token.expose());
        put("a.txt", "a file");
        put("b.txt", "another file");
        put("predicate.json", r#"{"by":"the tests"}"#);
        Self {
            deployment,
            folder,
            address,
            instance: deployment.folder().to_str().unwrap().to_owned(),
        }
    }

    async fn run(&self, arguments: &[&str]) -> Outcome {
        waxseal(self.folder.path(), arguments, &[]).await
    }

    /// With the instance and the token.
    async fn run_here(&self, arguments: &[&str]) -> Outcome {
        let mut all = arguments.to_vec();
        all.extend(["--instance", &self.instance]);
        all.extend(TOKEN);
        self.run(&all).await
    }

    async fn verify(&self, arguments: &[&str]) -> Outcome {
        let issuer = self.deployment.instance.issuer();
        let mut all = vec!["verify", "--instance", &self.instance];
        all.extend(["--identity", &self.address, "--issuer", &issuer]);
        all.extend(arguments);
        self.run(&all).await
    }

    /// The names in the folder that were not put there.
    fn made(&self) -> Vec<String> {
        let there = ["a.txt", "b.txt", "predicate.json", "token"];
        let names: BTreeSet<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !there.contains(&&**name))
            .collect();
        names.into_iter().collect()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the client files with another signing config, and gives the arguments for them.
    fn with_services(&self, change: impl Fn(&mut SigningConfig)) -> [String; 4] {
        self.with_files(|config| change(&mut config.signing_config))
    }

    /// The same with another trusted root, too.
    fn with_files(&self, change: impl Fn(&mut ClientTrustConfig)) -> [String; 4] {
        let mut config = self.deployment.config.clone();
        change(&mut config);
        // Beside the folder's own files, where nothing that is made is looked for.
        let hidden = self.deployment.folder().parent().unwrap();
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let write = |name: &str, json: String| {
            let path = hidden.join(format!("{name}-{number}.json"));
            std::fs::write(&path, json).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let root = write("root", config.trusted_root.to_json());
        let services = write("services", config.signing_config.to_json());
        [
            "--trusted-root".to_owned(),
            root,
            "--signing-config".to_owned(),
            services,
        ]
    }
}

fn code_of(outcome: &Outcome) -> String {
    let lines = outcome.json();
    assert!(
        lines.iter().all(|line| line["ok"].is_boolean()),
        "{outcome:?}"
    );
    let failed = lines.iter().find(|line| line["ok"] == false);
    failed.map_or_else(String::new, |line| {
        line["error"]["code"].as_str().unwrap().to_owned()
    })
}

#[test]
fn several_files_are_signed_and_each_bundle_verifies() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let signed = desk.run_here(&["sign", "--json", "a.txt", "b.txt"]).await;
        assert_eq!(signed.code, 0, "{signed:?}");
        let lines = signed.json();
        assert_eq!(lines.len(), 2);
        for (line, file) in lines.iter().zip(["a.txt", "b.txt"]) {
            assert_eq!(line["ok"], true);
            assert_eq!(line["artifact"], file);
            assert_eq!(line["bundle"], format!("{file}.sigstore.json"));
            assert_eq!(line["identity"]["san"], desk.address);
        }
        let bundles = ["a.txt.sigstore.json", "b.txt.sigstore.json"];
        assert_eq!(desk.made(), bundles);
        for bundle in bundles {
            let mode = std::fs::metadata(desk.path(bundle))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o7777, 0o644, "{bundle}");
        }
        let verified = desk
            .verify(&["--offline", "--json", "a.txt", "b.txt"])
            .await;
        assert_eq!(verified.code, 0, "{verified:?}");
        assert_eq!(verified.json().len(), 2);
        // In words, too: what was written is named.
        let said = desk.run_here(&["sign", "--force", "a.txt"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stdout.contains("a.txt.sigstore.json"), "{said:?}");
        std::fs::write(desk.path("a.txt"), "changed").unwrap();
        let changed = desk.verify(&["--json", "a.txt"]).await;
        assert_eq!(
            (changed.code, &*code_of(&changed)),
            (3, "artifact-mismatch")
        );
    });
}

#[test]
fn a_bundle_that_is_there_is_kept_unless_told_otherwise() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let bundle = desk.path("b.txt.sigstore.json");
        std::fs::write(&bundle, "precious").unwrap();
        let refused = desk.run_here(&["sign", "--json", "a.txt", "b.txt"]).await;
        assert_eq!((refused.code, &*code_of(&refused)), (10, "bundle-exists"));
        assert_eq!(std::fs::read_to_string(&bundle).unwrap(), "precious");
        // It was looked at before anything was signed.
        assert_eq!(desk.made(), ["b.txt.sigstore.json"]);
        let forced = desk.run_here(&["sign", "--force", "a.txt", "b.txt"]).await;
        assert_eq!(forced.code, 0, "{forced:?}");
        assert_eq!(desk.verify(&["a.txt", "b.txt"]).await.code, 0);
        let elsewhere = ["sign", "a.txt", "--bundle", "signed.json"];
        assert_eq!(desk.run_here(&elsewhere).await.code, 0);
        assert_eq!(desk.run_here(&elsewhere).await.code, 10);
        assert_eq!(
            desk.verify(&["a.txt", "--bundle", "signed.json"])
                .await
                .code,
            0
        );
    });
}

#[test]
fn attestations_are_made_of_a_predicate_or_of_a_whole_statement() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let predicate = [
            "--predicate",
            "predicate.json",
            "--type",
            "https://example.com/p/v1",
        ];
        let mut attest = vec!["attest", "--json", "a.txt", "b.txt"];
        attest.extend(predicate);
        let attested = desk.run_here(&attest).await;
        assert_eq!(attested.code, 0, "{attested:?}");
        for line in attested.json() {
            let statement = &line["statement"];
            assert_eq!(statement["predicateType"], "https://example.com/p/v1");
            assert_eq!(statement["predicate"]["by"], "the tests");
        }
        assert_eq!(desk.verify(&["a.txt", "b.txt"]).await.code, 0);

        let whole = waxseal_tests_e2e::statement(b"a file");
        std::fs::write(desk.path("statement.json"), whole).unwrap();
        let attested = desk
            .run_here(&["attest", "--statement", "statement.json"])
            .await;
        assert_eq!(attested.code, 0, "{attested:?}");
        let bundle = "statement.json.sigstore.json";
        assert_eq!(desk.verify(&["a.txt", "--bundle", bundle]).await.code, 0);
        let other = desk.verify(&["b.txt", "--bundle", bundle, "--json"]).await;
        assert_eq!((other.code, &*code_of(&other)), (3, "subject-mismatch"));

        std::fs::write(desk.path("predicate.json"), "{").unwrap();
        attest.push("--force");
        let refused = desk.run_here(&attest).await;
        assert_eq!(
            (refused.code, &*code_of(&refused)),
            (6, "predicate-malformed")
        );
    });
}

#[test]
fn identity_tokens_are_written_to_stdout() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let token = std::fs::read_to_string(desk.path("token")).unwrap();
        let said = desk.run_here(&["identity", "token"]).await;
        assert_eq!(
            (said.code, said.stdout.trim()),
            (0, &*token),
            "{}",
            said.stderr
        );
        let said = desk.run_here(&["identity", "token", "--json"]).await;
        assert_eq!(said.json()[0]["email"], desk.address);
        assert_eq!(said.json()[0]["issuer"], deployment.instance.issuer());
        // The job's variable, where it is for this instance.
        let arguments = ["identity", "token", "--instance", &desk.instance];
        let variables = [("SIGSTORE_ID_TOKEN", &*token)];
        let said = waxseal(desk.folder.path(), &arguments, &variables).await;
        assert_eq!(
            (said.code, said.stdout.trim()),
            (0, &*token),
            "{}",
            said.stderr
        );
    });
}

#[test]
fn nobody_is_asked_where_nobody_is() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let sign = ["sign", "a.txt", "--instance", &*desk.instance];
        let token = ["identity", "token", "--instance", &*desk.instance];
        for arguments in [&sign[..], &token[..]] {
            for variables in [&[][..], &[("CI", "true")][..]] {
                let refused = waxseal(desk.folder.path(), arguments, variables).await;
                assert_eq!(refused.code, 8, "{refused:?}");
                assert!(refused.stderr.contains("[no-identity]"), "{refused:?}");
                for provider in AmbientProvider::ALL {
                    let named = refused.stderr.contains(provider.name());
                    assert!(named, "{provider} is not named: {refused:?}");
                }
                assert_eq!(refused.stdout, "");
            }
        }
        let mut json = sign.to_vec();
        json.push("--json");
        let refused = desk.run(&json).await;
        assert_eq!((refused.code, &*code_of(&refused)), (8, "no-identity"));
        assert!(desk.made().is_empty());
    });
}

/// A token that expired in 1970; nobody looks at its signature before that.
const EXPIRED: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsInN1YiI6Im1lIiwiYXVkIjoic2lnc3RvcmUiLCJleHAiOjF9.c2ln";

#[test]
fn tokens_that_open_nothing_are_refused() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let liar = Arc::new(Liar::before(&deployment.transport));
        let proxy = Proxy::start(liar.clone(), deployment.url()).await;
        let services = desk.with_services(|services| {
            services.ca_urls[0].url = proxy.url.clone();
        });
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        let sign = async |token: &[&str], variables: &[(&str, &str)]| {
            let mut all = vec!["sign", "--json", "a.txt"];
            all.extend(&services);
            all.extend(token);
            waxseal(desk.folder.path(), &all, variables).await
        };
        let given = |token| ["--identity-token", token];
        let expired = sign(&given(EXPIRED), &[]).await;
        assert_eq!((expired.code, &*code_of(&expired)), (8, "token-expired"));
        let malformed = sign(&given("hello"), &[]).await;
        assert_eq!(
            (malformed.code, &*code_of(&malformed)),
            (8, "token-malformed")
        );
        let missing = sign(&given("@nowhere"), &[]).await;
        assert_eq!((missing.code, &*code_of(&missing)), (8, "token-unreadable"));
        // A job's token for `sigstore` would open the public instance: it is not shown to others.
        let ambient = sign(&[], &[("SIGSTORE_ID_TOKEN", EXPIRED)]).await;
        assert_eq!(
            (ambient.code, &*code_of(&ambient)),
            (8, "audience-mismatch")
        );
        assert!(ambient.stdout.contains(&proxy.url), "{ambient:?}");
        assert!(liar.asked().is_empty(), "{:?}", liar.asked());
        assert!(desk.made().is_empty());
    });
}

#[test]
fn a_job_asks_for_a_token_that_is_made_for_the_instance() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let service = Arc::new(TokenService::default());
        let proxy = Proxy::start(service.clone(), deployment.url()).await;
        let runner = format!("{}/token?api-version=2", proxy.url);
        let job = [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", &*runner),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret"),
        ];
        let run = async |arguments: &[&str]| waxseal(desk.folder.path(), arguments, &job).await;
        let here = ["--instance", &*desk.instance];
        let own = deployment.config.signing_config.ca_urls[0].url.clone();
        let token = run(&[&["identity", "token", "--json"][..], &here].concat()).await;
        assert_eq!(token.code, 0, "{token:?}");
        assert_eq!(token.json()[0]["audiences"], serde_json::json!([own]));
        // The instance does not know GitHub: who it is for is not yet who may.
        let refused = run(&[&["sign", "a.txt", "--json"][..], &here].concat()).await;
        assert_eq!(
            (refused.code, &*code_of(&refused)),
            (8, "certificate-refused")
        );
        assert!(desk.made().is_empty());
        let public = run(&["identity", "token", "--json"]).await;
        assert_eq!(
            public.json()[0]["audiences"],
            serde_json::json!(["sigstore"])
        );
        let asked = service.0.lock().unwrap().clone();
        assert_eq!(asked, [own.clone(), own, "sigstore".to_owned()]);
    });
}

#[test]
fn keys_of_ones_own_are_used_if_nobody_else_can_read_them() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let key = provider()
            .generate(SignatureAlgorithm::EcdsaP384Sha384)
            .unwrap();
        let signer = provider()
            .signer(&key, SignatureAlgorithm::EcdsaP384Sha384)
            .unwrap();
        let path = desk.path("own.key");
        std::fs::write(&path, &*key.to_pem()).unwrap();
        std::fs::write(desk.path("own.pub"), signer.public_key().to_pem()).unwrap();
        let mode = |bits| {
            let bits = std::fs::Permissions::from_mode(bits);
            std::fs::set_permissions(&path, bits).unwrap();
        };
        let sign = [
            "sign",
            "--json",
            "a.txt",
            "--key",
            "own.key",
            "--instance",
            &desk.instance,
        ];
        for bits in [0o644, 0o640, 0o604] {
            mode(bits);
            let refused = desk.run(&sign).await;
            assert_eq!((refused.code, &*code_of(&refused)), (10, "key-exposed"));
        }
        assert!(!desk.path("a.txt.sigstore.json").exists());
        mode(0o600);
        let signed = desk.run(&sign).await;
        assert_eq!(signed.code, 0, "{signed:?}");
        let verify = [
            "verify",
            "a.txt",
            "--key",
            "own.pub",
            "--instance",
            &desk.instance,
        ];
        let verified = desk.run(&verify).await;
        assert_eq!(verified.code, 0, "{verified:?}");
        std::fs::write(&path, "no key").unwrap();
        let refused = desk.run(&[&sign[..], &["--force"]].concat()).await;
        assert_eq!((refused.code, &*code_of(&refused)), (6, "key-malformed"));
    });
}

/// A port that nobody listens on.
fn closed_port() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://127.0.0.1:{}", socket.local_addr().unwrap().port())
}

#[test]
fn a_service_that_is_down_leaves_nothing_behind() {
    e2e(async |deployment| {
        let down = async |code: &str, change: fn(&mut SigningConfig, String)| {
            let desk = Desk::new(deployment).await;
            let services = desk.with_services(|services| change(services, closed_port()));
            let mut all = vec!["sign", "--json", "a.txt"];
            all.extend(services.iter().map(String::as_str));
            all.extend(TOKEN);
            let refused = desk.run(&all).await;
            assert_eq!(
                (refused.code, &*code_of(&refused)),
                (9, code),
                "{refused:?}"
            );
            assert!(desk.made().is_empty(), "{:?}", desk.made());
        };
        // Each is tried four times, seconds apart.
        tokio::join!(
            down("certificate-authority-unavailable", |services, nobody| {
                services.ca_urls[0].url = nobody;
            }),
            down("timestamp-authority-unavailable", |services, nobody| {
                services.tsa_urls[0].url = nobody;
            }),
            down("log-unavailable", |services, nobody| services.log_urls[0]
                .url = nobody),
        );
    });
}

/// A signing whose service at `path` lies: the exit code and the error's name.
async fn lied_to(desk: &Desk<'_>, path: &'static str, lie: Lie) -> (i32, String) {
    let deployment = desk.deployment;
    let liar = Liar::before(&deployment.transport).about(path, lie);
    let proxy = Proxy::start(Arc::new(liar), deployment.url()).await;
    let services = desk.with_files(|config| {
        let services = &mut config.signing_config;
        match path {
            CA => services.ca_urls[0].url = proxy.url.clone(),
            TSA => services.tsa_urls[0].url = format!("{}{TSA}", proxy.url),
            _ => {
                services.log_urls[0].url = proxy.url.clone();
                config.trusted_root.tlogs[0].base_url = proxy.url.clone();
            }
        }
    });
    let mut all = vec!["sign", "--json", "a.txt"];
    all.extend(services.iter().map(String::as_str));
    all.extend(TOKEN);
    let outcome = desk.run(&all).await;
    (outcome.code, code_of(&outcome))
}

#[test]
fn a_service_that_lies_leaves_nothing_behind() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let check = async |path, lie, code: i32, name: &str| {
            let found = lied_to(&desk, path, lie).await;
            assert_eq!(found, (code, name.to_owned()));
            assert!(desk.made().is_empty(), "{name}: {:?}", desk.made());
        };
        let json = "application/json";
        let forged = |scts| Forgery {
            keys: Arc::clone(&deployment.keys),
            name: desk.address.clone(),
            issuer: deployment.instance.issuer(),
            from: SystemClock.now().truncated_to_second(),
            lifetime: std::time::Duration::from_secs(600),
            scts,
        };
        let wrong_sct = forged(Scts::ForAnother(Arc::clone(&deployment.keys.ct)));
        check(CA, wrong_sct.lie(), 3, "sct-invalid").await;
        check(CA, forged(Scts::None).lie(), 3, "sct-missing").await;
        let mallory = Forgery {
            name: "mallory@example.com".to_owned(),
            ..forged(Scts::Of(Arc::clone(&deployment.keys.ct)))
        };
        check(CA, mallory.lie(), 3, "certificate-mismatch").await;
        let no = || Lie::answer(text(403, json, r#"{"code":7,"message":"no"}"#));
        check(CA, no(), 8, "certificate-refused").await;

        let other_nonce = Lie::ask(|mut request| {
            let query = TimestampRequest::parse(&request.body).unwrap();
            request.body = query.with_nonce(b"12345678").encode();
            request
        });
        check(TSA, other_nonce, 3, "timestamp-mismatch").await;
        let kind = "application/timestamp-reply";
        let garbage = Lie::answer(text(200, kind, "garbage"));
        check(TSA, garbage, 3, "timestamp-answer-malformed").await;
        let endless = Lie::endless(kind);
        check(TSA, endless, 9, "timestamp-authority-unavailable").await;

        check(LOG, no(), 6, "log-refused").await;
        check(LOG, Lie::answer(text(201, json, "{")), 3, "log-malformed").await;
        check(LOG, Lie::endless(json), 9, "log-unavailable").await;
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let record = Lie::alter(move |answer| {
            sender.send(answer.clone()).unwrap();
            answer
        });
        let liar = Liar::before(&deployment.transport).about(LOG, record);
        crate::common::sign_with_key(deployment, &liar)
            .await
            .unwrap();
        let earlier = receiver.recv().await.unwrap();
        check(LOG, Lie::answer(earlier), 3, "log-mismatch").await;
        check(LOG, Lie::answer(text(409, json, "{}")), 3, "log-malformed").await;
        let elsewhere = |index: &str| {
            let mut answer = text(409, json, "{}");
            answer.headers.append("X-Log-Index", index);
            Lie::answer(answer)
        };
        check(LOG, elsewhere("0"), 3, "log-mismatch").await;
        check(LOG, elsewhere("18446744073709551615"), 3, "log-malformed").await;
        check(LOG, elsewhere("1099511627776"), 9, "log-unavailable").await;
    });
}

#[test]
fn what_is_signed_is_written_though_another_file_fails() {
    e2e(async |deployment| {
        let desk = Desk::new(deployment).await;
        let asked = AtomicUsize::new(0);
        let only_one = Lie::new(move |request, honest| {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            Box::pin(async move {
                match first {
                    true => honest.send(request).await,
                    false => Ok(text(400, "application/json", r#"{"message":"enough"}"#)),
                }
            })
        });
        let liar = Liar::before(&deployment.transport).about(LOG, only_one);
        let proxy = Proxy::start(Arc::new(liar), deployment.url()).await;
        let services = desk.with_services(|services| services.log_urls[0].url = proxy.url.clone());
        let mut all = vec!["sign", "--json", "a.txt", "b.txt"];
        all.extend(services.iter().map(String::as_str));
        all.extend(TOKEN);
        let outcome = desk.run(&all).await;
        assert_eq!((outcome.code, &*code_of(&outcome)), (6, "log-refused"));
        let made = desk.made();
        let [bundle] = &made[..] else {
            panic!("one bundle: {made:?}")
        };
        let file = bundle.strip_suffix(".sigstore.json").unwrap();
        assert_eq!(desk.verify(&[file]).await.code, 0);
    });
}
