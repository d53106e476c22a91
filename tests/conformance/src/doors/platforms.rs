//! What the platforms answer that a program runs on, when it asks them who it is.

use std::io;
use std::path::Path;
use std::time::Duration;

use waxseal_identity::{Ambient, Audience, Environment};
use waxseal_transport::{BoxFuture, Headers, Request, Response, Transport, TransportError};

use super::tokens::TOKEN;
use super::wait_for;

/// The variables that make a program believe that it runs there. (GitLab's token is a variable.)
const PLATFORMS: [&[(&str, &str)]; 6] = [
    &[("SIGSTORE_ID_TOKEN_FILE", "/token")],
    &[
        ("GITHUB_ACTIONS", "true"),
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://runner.example/?a=b",
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "token"),
    ],
    &[
        ("BUILDKITE", "true"),
        ("BUILDKITE_AGENT_ACCESS_TOKEN", "token"),
        ("BUILDKITE_JOB_ID", "1"),
    ],
    &[("CIRCLECI", "true")],
    &[("GCE_METADATA_HOST", "metadata.google.internal")],
    &[("SPIFFE_ENDPOINT_SOCKET", "unix:///run/agent.sock")],
];

/// A machine on one of them, and everything that it is told.
struct Machine<'a> {
    variables: &'static [(&'static str, &'static str)],
    told: &'a [u8],
}

impl Machine<'_> {
    fn text(&self) -> io::Result<String> {
        String::from_utf8(self.told.to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

impl Environment for Machine<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let mut all = self.variables.iter();
        let found = all.find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }

    fn read_file(&self, path: &Path, _: u64) -> io::Result<String> {
        if path == Path::new("/token") {
            self.text()
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn run<'a>(
        &'a self,
        _: &'a str,
        _: &'a [&'a str],
        _: Duration,
    ) -> BoxFuture<'a, io::Result<String>> {
        Box::pin(async { self.text() })
    }
}

impl Transport for Machine<'_> {
    fn send<'a>(&'a self, _: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let mut headers = Headers::new();
        headers.append("Content-Type", "application/json");
        headers.append("Metadata-Flavor", "Google");
        let answer = Response::new(200, headers, self.told.to_vec());
        Box::pin(async { Ok(answer) })
    }

    fn sleep<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// A SPIFFE Workload API answer: a response with one JWT-SVID, in gRPC's frame.
fn svid() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap();
        let low = u8::try_from(length & 0x7f).unwrap() | 0x80;
        let high = u8::try_from(length >> 7).unwrap();
        [&[number << 3 | 2, low, high], bytes].concat()
    };
    let one = [field(1, b"spiffe://a.example/w"), field(2, TOKEN)].concat();
    let message = field(1, &one);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// Each after a byte that says which platform it is.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let token = String::from_utf8(TOKEN.to_vec()).unwrap();
    let told = [
        TOKEN.to_vec(),
        format!(r#"{{"count":1,"value":"{token}"}}"#).into_bytes(),
        format!(r#"{{"token":"{token}"}}"#).into_bytes(),
        TOKEN.to_vec(),
        TOKEN.to_vec(),
        svid(),
    ];
    (0_u8..)
        .zip(told)
        .map(|(which, told)| [vec![which], told].concat())
        .collect()
}

pub(super) fn read(bytes: &[u8]) {
    let Some((which, told)) = bytes.split_first() else {
        return;
    };
    let which = usize::from(*which) % PLATFORMS.len();
    let variables = PLATFORMS.get(which).copied().unwrap_or_default();
    let machine = Machine { variables, told };
    let ambient = Ambient::new(&machine, Audience::public());
    drop(wait_for(ambient.token(&machine)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A door that is never reached behind its own front tests nothing.
    #[test]
    fn every_platform_is_asked() {
        for seed in seeds() {
            let (which, told) = seed.split_first().unwrap();
            let variables = PLATFORMS[usize::from(*which)];
            let machine = Machine { variables, told };
            let ambient = Ambient::new(&machine, Audience::public());
            let found = wait_for(ambient.token(&machine));
            assert!(found.is_ok(), "{variables:?}: {found:?}");
        }
    }
}
