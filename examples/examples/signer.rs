//! A signer of your own: the private key lives behind a Unix socket, in a process that this one
//! only knows by its socket. Here that is a thread; it could be an agent, a token, a KMS.
//!
//! `cargo run -p waxseal-examples --example signer` starts a private instance in this process,
//! signs a file with the key behind the socket (timestamp and log entry included), verifies the
//! bundle as somebody who has the public key would, and then signs with the same key as a person.

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream as BlockingStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use waxseal_crypto::{
    BoxFuture, Clock as _, Digest, HashAlgorithm, Input, LocalSigner, PublicKey, SignError,
    SignatureAlgorithm, Signer,
};
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::Bundle;
use waxseal_sign::Payload;
use waxseal_testkit::Testkit;
use waxseal_verify::{Artifact, ValidFor, VerificationPolicy};

const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
const ARTIFACT: &[u8] = b"signed by a key that this process never sees\n";

const IDENTITY: &str = "you@example.com";

/// What an answer may have: a P-256 key is 91 bytes, a signature at most 72.
const MAX_ANSWER: u64 = 1024;

/// How long the key's home may take. It may ask a person to touch something.
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("agent.sock");
    start_agent(&socket)?;
    let signer = SocketSigner::connect(&socket).await?;
    println!("key behind {}", socket.display());
    print!("{}", signer.public_key().to_pem());
    let signer: Arc<dyn Signer> = Arc::new(signer);

    // A private Sigstore, in this process: timestamp authority, log and the rest.
    let kit = Testkit::start().await;
    let session = kit.signing().with_key(Arc::clone(&signer))?;
    let payload = Payload::artifact(Digest::of(session.hash_algorithm(), ARTIFACT));
    let signed = session.sign(&payload).await?;
    println!("signed {} bytes through the instance", ARTIFACT.len());

    // As somebody else: from the bundle's text, with the public key alone.
    let bundle = Bundle::from_json(signed.bundle.to_json().as_bytes())?;
    let public_key = signer.public_key().clone();
    let policy = VerificationPolicy::key(public_key, ValidFor::always());
    let now = kit.clock().now();
    let verified = kit
        .verifier()
        .verify(Artifact::bytes(ARTIFACT), &bundle, &policy, now)?;
    for time in verified.times() {
        println!("verified: signed at {}", time.time);
    }
    for entry in verified.log_entries() {
        println!("verified: entry {} of the log", entry.log_index);
    }

    // The same key can sign for an identity: then a certificate says for a few minutes whose it is.
    let token = kit.login(IDENTITY).await;
    let session = kit.signing().certify_key(token, signer).await?;
    let signed = session.sign(&payload).await?;
    for subject in signed
        .verified
        .identity()
        .iter()
        .flat_map(|identity| &identity.subjects)
    {
        println!("verified: signed by {}", subject.value);
    }
    kit.stop().await;
    Ok(())
}

/// The joint: a public key that was fetched once, and signatures that are asked for.
struct SocketSigner {
    socket: PathBuf,
    public_key: PublicKey,
}

impl SocketSigner {
    /// Asks the agent which key it has.
    async fn connect(socket: &Path) -> Result<Self, Failure> {
        let spki = ask(socket, b"key").await?;
        Ok(Self {
            socket: socket.to_owned(),
            public_key: PublicKey::from_spki_der(&spki)?,
        })
    }
}

impl Signer for SocketSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        ALGORITHM
    }

    fn sign<'a>(&'a self, input: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async move {
            // The digest suffices, so an artifact of any size costs the agent 32 bytes.
            let digest = input.digest(ALGORITHM)?;
            let answer = ask(&self.socket, digest.as_bytes()).await;
            answer.map_err(|error| SignError::Failed(error.into()))
        })
    }
}

/// One question on one connection; an empty answer is a refusal. Whether the answer is a good
/// signature is not checked here: the session verifies the whole bundle before it returns it.
async fn ask(socket: &Path, question: &[u8]) -> io::Result<Vec<u8>> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(question).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        if answer.is_empty() {
            return Err(io::Error::other("the agent refused"));
        }
        Ok(answer)
    };
    tokio::time::timeout(PATIENCE, exchange).await?
}

/// The key's home: makes a key, and serves it until the process ends.
fn start_agent(socket: &Path) -> Result<(), Failure> {
    let key = provider().generate(ALGORITHM)?;
    let signer = provider().signer(&key, ALGORITHM)?;
    let listener = UnixListener::bind(socket)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who breaks off loses only this one answer.
            let _ = answer(stream, &*signer);
        }
    });
    Ok(())
}

fn answer(mut stream: BlockingStream, signer: &dyn LocalSigner) -> io::Result<()> {
    let mut question = Vec::new();
    (&mut stream).take(MAX_ANSWER).read_to_end(&mut question)?;
    if question == b"key" {
        return stream.write_all(signer.public_key().spki_der());
    }
    // It signs nothing but digests: anything else gets no answer.
    let Ok(digest) = Digest::new(HashAlgorithm::Sha256, &question) else {
        return Ok(());
    };
    let signature = signer.sign_now(Input::Prehash(&digest));
    stream.write_all(&signature.map_err(io::Error::other)?)
}
