//! Where a log is read: a directory, or a URL.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use waxseal_transport::{Request, Retry, Url, send_retrying};
use waxseal_transport_reqwest::ReqwestTransport;

use crate::outcome::{Class, Failure};

/// The largest file that is read: 256 entries of the largest size that a bundle can hold take
/// 16 MiB, and data tiles hold chains beside.
const MAX_FILE: usize = 64 << 20;

/// A log's files.
#[derive(Clone)]
pub(crate) enum Source {
    /// Below a directory.
    Directory(PathBuf),
    /// Below a URL that ends in a slash.
    Url(Url, Arc<ReqwestTransport>),
}

impl Source {
    /// What the argument names.
    ///
    /// # Errors
    /// [`Class::Usage`] for what is neither.
    pub(crate) fn parse(
        text: &str,
        transport: impl FnOnce() -> Result<ReqwestTransport, Failure>,
    ) -> Result<Self, Failure> {
        if !text.contains("://") {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        let base = format!("{}/", text.trim_end_matches('/'));
        let url: Url = base
            .parse()
            .map_err(|error| Failure::usage(format!("{text} is not a URL")).because(&error))?;
        Ok(Self::Url(url, Arc::new(transport()?)))
    }

    /// A file, if it is there.
    ///
    /// # Errors
    /// [`Class::Unavailable`] if that cannot be told.
    pub(crate) async fn read(&self, name: String) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Directory(root) => {
                let path = root.join(&name);
                let read = tokio::task::spawn_blocking(move || read_file(&path)).await;
                let read = read.map_err(io::Error::other).flatten();
                read.map_err(|error| failed(&name, &error))
            }
            Self::Url(base, transport) => {
                let url = base.join(&name).map_err(|error| failed(&name, &error))?;
                // Some hosts keep bundles in gzip, and tell them so (C2SP tlog-tiles).
                let request = Request::get(url).with_max_response(MAX_FILE).taking_gzip();
                // The same bits for everybody: one reader is no herd.
                let retry = Retry::idempotent(0);
                let sent = send_retrying(transport.as_ref(), request, &retry).await;
                let response = sent.map_err(|error| failed(&name, &error))?;
                match response.status {
                    200 => {
                        let plain = response.into_plain(MAX_FILE);
                        plain.map(Some).map_err(|error| failed(&name, &error))
                    }
                    404 | 410 => Ok(None),
                    status => Err(unavailable(&name).expected("status 200", status.to_string())),
                }
            }
        }
    }
}

fn read_file(path: &std::path::Path) -> io::Result<Option<Vec<u8>>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn failed(name: &str, error: &dyn std::error::Error) -> Failure {
    unavailable(name).because(error)
}

fn unavailable(name: &str) -> Failure {
    let message = format!("{name} could not be read");
    Failure::new(Class::Unavailable, "log-unreadable", message)
}
