//! A log whose checkpoints two witnesses must cosign, one with Ed25519 and one with ML-DSA-44: each
//! client signs against it and verifies, and whoever knows the witnesses finds their lines.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_tests_interop::{
    Asked, Client, IDENTITY, Instance, Kind, Setup, Tool, Witness, Work, our, output, run, trial,
    workspace,
};
use waxseal_tlog::SignatureKind;

/// An instance that publishes nothing without both witnesses.
struct Town {
    instance: Instance,
    witnesses: [Witness; 2],
    work: Work,
    _policy: tempfile::TempDir,
}

impl Town {
    fn new() -> Result<Self, String> {
        let witnesses = [
            Witness::start("ed25519.witness.example", SignatureKind::CosignatureV1)?,
            Witness::start("mldsa.witness.example", SignatureKind::MlDsa44)?,
        ];
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join("witnesses.policy");
        std::fs::write(&file, policy(&witnesses)).map_err(|error| error.to_string())?;
        let mut setup = Setup::default();
        setup.config = format!(
            "[transparency_log]\nwitness_policy = {file:?}\nwitness_mode = \"fail-closed\"\n"
        );
        Ok(Self {
            instance: Instance::start_with(setup)?,
            witnesses,
            work: Work::new(|bytes| Digest::of(HashAlgorithm::Sha256, bytes).to_hex()),
            _policy: folder,
        })
    }

    /// The log and both witnesses have signed it, says code that is none of ours.
    fn is_cosigned(&self, checkpoint: &str) -> Result<(), Failed> {
        assert_eq!(checkpoint.matches("\n\u{2014} ").count(), 3, "{checkpoint}");
        let sigstore = Tool::Python.path().map_err(|missing| missing.0)?;
        let mut child = Command::new(sigstore.with_file_name("python"))
            .arg(workspace().join("tests/interop/py/cosignatures.py"))
            .arg(self.instance.log_key()?.to_vkey())
            .args(self.witnesses.iter().map(Witness::vkey))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(checkpoint.as_bytes())?;
        drop(stdin);
        let said = String::from_utf8(child.wait_with_output()?.stdout)?;
        let names = "localhost\ned25519.witness.example\nmldsa.witness.example\n";
        assert_eq!(said, names, "{checkpoint}");
        Ok(())
    }
}

/// Both must have signed.
fn policy(witnesses: &[Witness]) -> String {
    let lines: Vec<_> = witnesses.iter().map(Witness::policy_line).collect();
    let names: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    let (lines, names) = (lines.concat(), names.join(" "));
    format!("{lines}group both all {names}\nquorum both\n")
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let town: Arc<OnceLock<Result<Town, String>>> = Arc::default();
    let mut trials = Vec::new();
    let all: Vec<_> = Client::ALL.into_iter().filter_map(Client::tool).collect();
    for signer in Client::ALL {
        let town = Arc::clone(&town);
        let name = format!("{signer:?} signs, everybody verifies");
        trials.push(trial(&name, &all, move || {
            signs(town.get_or_init(Town::new).as_ref()?, signer)
        }));
    }
    trials.push(whole_log(&town));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn signs(town: &Town, signer: Client) -> Result<(), Failed> {
    let (instance, work) = (&town.instance, &town.work);
    let bundle = work.path(&format!("{signer:?}.sigstore.json"));
    signer.sign(Kind::Blob, instance, work, &bundle)?;
    for verifier in Client::ALL {
        verifier.verify(Kind::Blob, instance, work, &bundle, IDENTITY)?;
        let mallory = verifier.verify(Kind::Blob, instance, work, &bundle, "mallory@example.com");
        assert!(
            mallory.is_err(),
            "{verifier:?} accepted it as somebody else's"
        );
    }
    town.is_cosigned(&checkpoint_of(&bundle)?)
}

/// What the signer was given as proof.
fn checkpoint_of(bundle: &Path) -> Result<String, Failed> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(bundle)?)?;
    let entry = &json["verificationMaterial"]["tlogEntries"][0];
    let envelope = &entry["inclusionProof"]["checkpoint"]["envelope"];
    Ok(envelope.as_str().unwrap().to_owned())
}

fn whole_log(town: &Arc<OnceLock<Result<Town, String>>>) -> Trial {
    let town = Arc::clone(town);
    let tools = [Tool::TesseraFsck, Tool::Python];
    trial(
        "Tessera's fsck and ours accept the whole log",
        &tools,
        move || {
            let town = town.get_or_init(Town::new).as_ref()?;
            let instance = &town.instance;
            let published = Asked::of("GET", "/checkpoint").send("localhost", instance.port())?;
            town.is_cosigned(std::str::from_utf8(&published.body)?)?;
            let folder = tempfile::tempdir()?;
            let key = folder.path().join("log.vkey");
            let vkey = town.instance.log_key()?.to_vkey();
            std::fs::write(&key, &vkey)?;
            let fsck = Tool::TesseraFsck.path().map_err(|missing| missing.0)?;
            run(Command::new(fsck)
                .arg(format!("--storage_url={}/", instance.url()))
                .arg(format!("--public_key={}", key.display()))
                .arg("--ui=false"))?;
            let readers = folder.path().join("readers.policy");
            std::fs::write(&readers, format!("log {vkey}\n{}", policy(&town.witnesses)))?;
            let mut fsck = Command::new(our("waxseal"));
            fsck.args(["log", "fsck", &instance.url(), "--json", "--witness-policy"]);
            let said = output(fsck.arg(readers).arg("--key").arg(&key))?;
            assert!(said.contains("\"witnesses\":2"), "{said}");
            Ok(())
        },
    )
}
