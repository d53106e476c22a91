//! SPIFFE: a JWT-SVID from the Workload API, which is one gRPC call through a Unix socket
//! (SPIFFE Workload API §4 and §6; the message format is Protocol Buffers').
//!
//! The call is unary and its messages have three fields between them, so that they are written and
//! read here. A status in the head of the answer is a refusal; the one in the trailers of a
//! successful call says no more than the whole message before it.

use std::path::PathBuf;

use url::Url;
use waxseal_transport::{Excerpt, Request, Response, Transport};

use super::{AmbientError, AmbientProvider, Found, MAX_ANSWER, succeeded};
use crate::Environment;

const PROVIDER: AmbientProvider = AmbientProvider::Spiffe;
const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
const CALL: &str = "http://localhost/SpiffeWorkloadAPI/FetchJWTSVID";

/// gRPC's `PERMISSION_DENIED`: the Workload API's word for "no identity is registered for you".
const PERMISSION_DENIED: u32 = 7;

pub(super) async fn find(
    environment: &dyn Environment,
    audience: &str,
    transport: &dyn Transport,
) -> Result<Found, AmbientError> {
    let Some(socket) = environment.variable(SOCKET) else {
        return Ok(Found::Absent(SOCKET));
    };
    let bad = AmbientError::BadVariable {
        provider: PROVIDER,
        variable: SOCKET,
    };
    let (Some(path), Ok(url)) = (socket_path(&socket), Url::parse(CALL)) else {
        return Err(bad);
    };
    let request = Request::post(
        url,
        "application/grpc",
        framed(&field(1, audience.as_bytes())),
    )
    .with_header("TE", "trailers")
    // Without it the Workload API refuses: a page that reaches the socket cannot set it.
    .with_header("workload.spiffe.io", "true")
    .with_max_response(MAX_ANSWER)
    .through_socket(path);
    let failed = |source| AmbientError::Transport {
        provider: PROVIDER,
        source,
    };
    let response = transport.send(request).await.map_err(failed)?;
    if let Some(error) = refusal(&response) {
        return Err(error);
    }
    let body = succeeded(PROVIDER, response)?;
    let token = message(&body)
        .and_then(|response| first_field(response, 1))
        .and_then(|svid| first_field(svid, 2))
        .and_then(|token| String::from_utf8(token.to_vec()).ok());
    token
        .map(Found::Token)
        .ok_or(AmbientError::NoTokenInAnswer { provider: PROVIDER })
}

/// `unix:///path` or `unix:/path` (SPIFFE Workload Endpoint §4). Its other form, `tcp://`, is for
/// platforms without Unix sockets, and not spoken.
fn socket_path(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix("unix:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    path.starts_with('/').then(|| PathBuf::from(path))
}

fn refusal(response: &Response) -> Option<AmbientError> {
    let status: u32 = response.headers.only("grpc-status")?.parse().ok()?;
    let said = response.headers.only("grpc-message").unwrap_or_default();
    match status {
        0 => None,
        PERMISSION_DENIED => Some(AmbientError::SpiffeNoIdentity),
        _ => Some(AmbientError::SpiffeRefused {
            status,
            message: Excerpt::of(said.as_bytes()),
        }),
    }
}

/// A message with its prefix: not compressed, and how long it is.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    frame
}

/// The one message of a body, whole and not compressed.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<5>()?;
    let [compressed, length @ ..] = prefix;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (*compressed == 0 && message.len() == length).then_some(message)
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut text = vec![(number << 3) | LENGTH_DELIMITED];
    let mut length = bytes.len();
    while length >= 0x80 {
        text.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    text.push(u8::try_from(length).unwrap_or_default());
    text.extend(bytes);
    text
}

/// Wire types of Protocol Buffers.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const FIXED_32: u8 = 5;

/// The first field of bytes with this number; others are skipped. `None` if there is none before
/// the message ends or breaks.
fn first_field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let (key, rest) = varint(message)?;
        let kind = u8::try_from(key & 7).ok()?;
        let (value, rest) = match kind {
            VARINT => (None, varint(rest)?.1),
            FIXED_64 => (None, rest.get(8..)?),
            FIXED_32 => (None, rest.get(4..)?),
            LENGTH_DELIMITED => {
                let (length, rest) = varint(rest)?;
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Some(value), rest)
            }
            _ => return None,
        };
        if value.is_some() && key >> 3 == wanted {
            return value;
        }
        message = rest;
    }
    None
}

/// A number in seven bits a byte, ten bytes at most.
fn varint(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in text.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = u32::try_from(index * 7).ok()?;
        let shifted = bits.checked_shl(shift)?;
        if shifted >> shift != bits {
            return None;
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Some((value, text.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_field_by_field() {
        let check = |message: &[u8], expected: Option<&[u8]>| {
            assert_eq!(first_field(message, 2), expected, "{message:?}");
        };
        check(&field(2, b"token"), Some(b"token"));
        check(
            &[field(1, b"id"), field(2, b"token")].concat(),
            Some(b"token"),
        );
        check(
            &[&[0x18, 0x96, 0x01][..], &field(2, b"t")].concat(),
            Some(b"t"),
        );
        check(&[&[0x19; 9][..], &field(2, b"t")].concat(), Some(b"t"));
        check(&[&[0x1d; 5][..], &field(2, b"t")].concat(), Some(b"t"));
        check(&[0x10, 0x07], None);
        check(&[], None);
        // Cut short, too long, of a kind that is no more, and a number without end.
        check(&[0x12, 0x05, b't'], None);
        check(
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            None,
        );
        check(&[0x13], None);
        check(&[0xff; 32], None);
        let long = vec![b'x'; 300];
        check(&field(2, &long), Some(&long));
    }

    #[test]
    fn one_whole_message_and_nothing_else() {
        let check = |body: &[u8], expected: Option<&[u8]>| assert_eq!(message(body), expected);
        check(&framed(b"abc"), Some(b"abc"));
        check(&framed(b""), Some(b""));
        check(&[&framed(b"abc")[..], b"d"].concat(), None);
        check(&[1, 0, 0, 0, 1, b'a'], None);
        check(&[0, 0, 0, 0, 2, b'a'], None);
        check(&[0, 0, 0], None);
    }

    #[test]
    fn sockets() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(socket_path(text), expected.map(PathBuf::from), "{text}");
        };
        check("unix:///run/agent.sock", Some("/run/agent.sock"));
        check("unix:/run/agent.sock", Some("/run/agent.sock"));
        check("/run/agent.sock", None);
        check("unix:agent.sock", None);
        check("tcp://127.0.0.1:8000", None);
    }
}
