//! A witness (C2SP tlog-witness), as far as a log has to do with one: it remembers one tree, and
//! cosigns what is consistent with it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::{Clock as _, SignatureAlgorithm, Signer};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_tlog::{
    AddCheckpointRequest, ConsistencyProof, Hash, KeyName, NoteSigner, SignatureKind,
    encode_signature_lines,
};

use crate::block_on;

/// The largest request: a checkpoint with all its lines, and 63 hashes.
const MAX_REQUEST: usize = 1 << 20;

/// A witness that answers on loopback until the tests end.
#[derive(Debug, Clone)]
pub struct Witness {
    name: String,
    port: u16,
    vkey: String,
}

struct Desk {
    signer: NoteSigner,
    seen: Mutex<(u64, Hash)>,
}

impl Witness {
    /// Starts one that cosigns with a fresh key of that kind.
    ///
    /// # Errors
    /// What the system says, or the provider.
    pub fn start(name: &str, kind: SignatureKind) -> Result<Self, String> {
        let algorithm = match kind {
            SignatureKind::MlDsa44 => SignatureAlgorithm::MlDsa44,
            _ => SignatureAlgorithm::Ed25519,
        };
        let provider = provider();
        let key = provider.generate(algorithm).map_err(|e| e.to_string())?;
        let signer = provider
            .signer(&key, algorithm)
            .map_err(|error| error.to_string())?;
        let signer: Box<dyn Signer> = signer;
        let key_name = KeyName::new(name).map_err(|error| error.to_string())?;
        let signer = NoteSigner::new(key_name, kind, Arc::from(signer));
        let signer = signer.map_err(|error| error.to_string())?;
        let note_key = signer
            .note_key(provider)
            .map_err(|error| error.to_string())?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener
            .local_addr()
            .map_err(|error| error.to_string())?
            .port();
        let desk = Arc::new(Desk {
            signer,
            seen: Mutex::new((0, waxseal_tlog::empty_root())),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = Arc::clone(&desk);
                std::thread::spawn(move || desk.serve(stream));
            }
        });
        Ok(Self {
            name: name.to_owned(),
            port,
            vkey: note_key.to_vkey(),
        })
    }

    /// Its line in a policy.
    pub fn policy_line(&self) -> String {
        let (name, vkey, port) = (&self.name, &self.vkey, self.port);
        format!("witness {name} {vkey} http://127.0.0.1:{port}/\n")
    }

    /// Its verifier key.
    pub fn vkey(&self) -> &str {
        &self.vkey
    }
}

impl Desk {
    /// Requests of one connection, one after the other.
    fn serve(&self, mut stream: TcpStream) {
        let timeout = Some(Duration::from_secs(30));
        drop(stream.set_read_timeout(timeout));
        while let Some(body) = read_request(&mut stream) {
            let (status, kind, body) = self.answer(&body);
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
            );
            if stream
                .write_all(&[head, body].concat().into_bytes())
                .is_err()
            {
                return;
            }
        }
    }

    fn answer(&self, body: &str) -> (&'static str, &'static str, String) {
        let bad = ("400 Bad Request", "text/plain", String::new());
        let Ok(asked) = AddCheckpointRequest::parse(body) else {
            return bad;
        };
        let Ok(text) = asked.checkpoint.unverified_checkpoint() else {
            return bad;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, root) = *seen;
        if asked.old_size != size {
            return ("409 Conflict", "text/x.tlog.size", format!("{size}\n"));
        }
        let proof = ConsistencyProof {
            old_size: size,
            new_size: text.tree_size(),
            hashes: asked.hashes.clone(),
        };
        if proof.check(&root, text.root_hash()).is_err() {
            return ("422 Unprocessable Content", "text/plain", String::new());
        }
        *seen = (text.tree_size(), *text.root_hash());
        let note = asked.checkpoint.unverified_text();
        match block_on(self.signer.sign(note, SystemClock.now())) {
            Ok(line) => ("200 OK", "text/plain", encode_signature_lines(&[line])),
            Err(_) => ("500 Internal Server Error", "text/plain", String::new()),
        }
    }
}

/// The body of the next request of a connection; `None` if there is none, or it is malformed.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_REQUEST || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head.split("content-length:").nth(1)?;
    let length: usize = length.split("\r\n").next()?.trim().parse().ok()?;
    let mut body = vec![0; length.min(MAX_REQUEST)];
    stream.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}
