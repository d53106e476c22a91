//! One question to one witness, as plain data: the request, and what each answer means
//! (tlog-witness §add-checkpoint).

use crate::ReadError;
use waxseal_crypto::{Digest, sha256};
use waxseal_tlog::{
    AddCheckpointRequest, Checkpoint, CheckpointError, Hash, LogKey, NoteError, NoteKey, Origin,
    SignatureLine, SignedNote, parse_signature_lines,
};
use waxseal_transport::{Request, Response, TransportError, Url};

/// The media type of a 409's body: the size that the witness knows.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// Longest answer that is read: a dozen post-quantum cosignatures (S-17).
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WitnessFailure {
    /// It was not reached, or broke the rules of transport: too long an answer, a redirect.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It failed before, and is not asked for a while.
    #[error("not asked, since it failed before")]
    Paused,
    /// A newer checkpoint took the place of this one before it was asked.
    #[error("a newer checkpoint took this one's place")]
    Superseded,
    /// 400: it does not understand the request.
    #[error("it finds the request malformed (400)")]
    Malformed,
    /// 403: it does not trust the log's key.
    #[error("it does not trust the log's key (403)")]
    UntrustedKey,
    /// 404: it does not know the log.
    #[error("it does not know the log (404)")]
    UnknownLog,
    /// 422: it knows a tree of another root, or finds the proof wrong. One of the two is wrong
    /// about the past: an alarm.
    #[error("it disagrees about the log's past (422)")]
    Disagrees {
        /// What it said, in case that it is a checkpoint.
        said: Vec<u8>,
    },
    /// 409 with a size that this process has not reached: the log was rolled back, somebody else
    /// signs with its key, or the witness lies. An alarm (rules D4, D11).
    #[error("it has cosigned a tree of {theirs} entries, and the log has {ours}")]
    Ahead {
        /// The size that the witness knows.
        theirs: u64,
        /// The largest size that the log has.
        ours: u64,
    },
    /// 409, again, or with a size that explains nothing.
    #[error("it refuses the old size it named itself (409)")]
    Conflict,
    /// 409 whose body is not a size of type `text/x.tlog.size`.
    #[error("it answered 409 without a size")]
    BadSize,
    /// Any other status.
    #[error("it answered with status {status}")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// 200 whose body is not signature lines.
    #[error("its answer is not one of signature lines")]
    BadAnswer(#[source] NoteError),
    /// 200 without a line of its key.
    #[error("its answer has no cosignature by its key")]
    NoCosignature,
    /// A line of its key that does not verify over this checkpoint: another's, or an old one.
    #[error("its cosignature does not verify over this checkpoint")]
    BadCosignature(#[source] CheckpointError),
    /// A cosignature of a checkpoint states its time (tlog-cosignature).
    #[error("its cosignature states no time")]
    NoTime,
    /// The consistency proof cannot be made from what is stored.
    #[error("the consistency proof cannot be made")]
    Unprovable(#[source] ReadError),
}

/// What an answer asks for.
#[derive(Debug)]
pub(crate) enum Next {
    /// 200: these bytes are to be checked.
    Cosigned(Vec<u8>),
    /// 409: try again from this size.
    From(u64),
    Failed(WitnessFailure),
}

/// The request for a tree of which the witness knows the first `old_size` leaves.
pub(crate) fn request(
    url: &Url,
    old_size: u64,
    hashes: Vec<Hash>,
    checkpoint: &SignedNote,
) -> Request {
    let body = AddCheckpointRequest {
        old_size,
        hashes,
        checkpoint: checkpoint.clone(),
    };
    Request::post(url.clone(), "text/plain", body.to_string().into_bytes())
        .with_max_response(MAX_ANSWER_BYTES)
}

/// Asks a witness for the checkpoint that it has cosigned last: `<hex SHA-256 of the
/// origin>/checkpoint` beside `add-checkpoint` (tlog-witness §monitoring).
pub(crate) fn request_witnessed(url: &Url, origin: &Origin) -> Option<Request> {
    let name = Digest::from(sha256(origin.as_str().as_bytes())).to_hex();
    let url = url.join(&format!("{name}/checkpoint")).ok()?;
    Some(Request::get(url).with_max_response(MAX_ANSWER_BYTES))
}

/// Bytes that are a checkpoint signed by the log: what a witness can prove its word with.
pub(crate) fn signed_by_log(bytes: &[u8], log: &LogKey) -> Option<Checkpoint> {
    let note = SignedNote::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    Checkpoint::open(&note, log, &[]).ok()
}

/// What an answer to such a request means. `largest` is the size of the largest tree that any
/// witness was shown, at least `tree_size`.
pub(crate) fn judge(response: Response, old_size: u64, tree_size: u64, largest: u64) -> Next {
    let failure = match response.status {
        200 => return Next::Cosigned(response.body),
        409 => match size(&response) {
            None => WitnessFailure::BadSize,
            Some(theirs) if theirs > largest => WitnessFailure::Ahead {
                theirs,
                ours: largest,
            },
            Some(theirs) if theirs > tree_size => WitnessFailure::Superseded,
            Some(theirs) if theirs == old_size => WitnessFailure::Conflict,
            Some(theirs) => return Next::From(theirs),
        },
        400 => WitnessFailure::Malformed,
        403 => WitnessFailure::UntrustedKey,
        404 => WitnessFailure::UnknownLog,
        422 => WitnessFailure::Disagrees {
            said: response.body,
        },
        status => WitnessFailure::UnexpectedStatus { status },
    };
    Next::Failed(failure)
}

/// `<size>\n`, decimal, without leading zeros.
fn size(response: &Response) -> Option<u64> {
    if response.media_type().as_deref() != Some(SIZE_TYPE) {
        return None;
    }
    let text = std::str::from_utf8(&response.body).ok()?;
    let digits = text.strip_suffix('\n')?;
    let size: u64 = digits.parse().ok()?;
    (size.to_string() == digits).then_some(size)
}

/// The lines by these keys, each verified over the checkpoint; other lines are dropped, so that
/// nothing unverified is ever stored or published (S-14).
pub(crate) fn cosignatures(
    body: &[u8],
    note: &SignedNote,
    log: &LogKey,
    keys: &[&NoteKey],
) -> Result<Vec<(usize, SignatureLine)>, WitnessFailure> {
    let text = std::str::from_utf8(body)
        .map_err(|_| WitnessFailure::BadAnswer(NoteError::ControlCharacter))?;
    let lines = parse_signature_lines(text).map_err(WitnessFailure::BadAnswer)?;
    let mut found = Vec::new();
    for (position, key) in keys.iter().enumerate() {
        if let Some(line) = lines.iter().find(|line| line.is_by(key)) {
            check(line, note, log, key)?;
            found.push((position, line.clone()));
        }
    }
    if found.is_empty() {
        return Err(WitnessFailure::NoCosignature);
    }
    Ok(found)
}

fn check(
    line: &SignatureLine,
    note: &SignedNote,
    log: &LogKey,
    key: &NoteKey,
) -> Result<(), WitnessFailure> {
    let mut note = note.clone();
    note.extend(vec![line.clone()])
        .map_err(WitnessFailure::BadAnswer)?;
    let opened = Checkpoint::open(&note, log, &[key]).map_err(WitnessFailure::BadCosignature)?;
    match opened.cosignatures() {
        [cosignature] if cosignature.timestamp > 0 => Ok(()),
        [_] => Err(WitnessFailure::NoTime),
        // The line is by the key, so it was either verified or refused.
        _ => Err(WitnessFailure::NoCosignature),
    }
}
