//! The socket itself, in the data directory.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use waxseal_identity_server::{Administration, MAX_ORDER, Order, OrderDone};
use waxseal_serve::Shutdown;

use super::ControlError;
use crate::{DataDir, Part};

/// Its name, beside the broker's records.
const NAME: &str = "control.sock";

/// How long a caller may take to send its order, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a caller waits for its answer: a list of very many people takes its time.
const WAIT: Duration = Duration::from_secs(60);

/// Most bytes of an answer: some hundred thousand people.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How long to wait before the next caller, after one could not be taken: for want of files most
/// likely.
const PAUSE: Duration = Duration::from_secs(1);

/// Most bytes of a socket's path (`sun_path` of Linux, with the zero at its end); elsewhere fewer.
const LONGEST: usize = 107;

/// By which path the socket in a directory is reached.
struct Address {
    path: PathBuf,
    /// Open for as long as the path is used that goes through it.
    _directory: Option<File>,
}

impl Address {
    /// The socket's own path; where that is too long for a socket and the system is Linux, the one
    /// through the opened directory.
    fn of(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        if path.as_os_str().len() <= LONGEST || !cfg!(target_os = "linux") {
            return Ok(Self {
                path,
                _directory: None,
            });
        }
        let directory = File::open(directory)?;
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd())),
            _directory: Some(directory),
        })
    }
}

/// A socket that is removed when nobody listens any more.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    pub(super) fn open(data: &DataDir) -> Result<Self, ControlError> {
        let directory = data.make(Part::Broker)?;
        let path = directory.join(NAME);
        // The directory is locked by us, so whoever made it has ended.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
        let bound = Address::of(&directory).and_then(|address| UnixListener::bind(&address.path));
        let listener = bound.map_err(io_error("listen at", &path))?;
        let socket = Self { listener, path };
        // Nobody else could enter the directory until now.
        fs::set_permissions(&socket.path, fs::Permissions::from_mode(0o600))
            .map_err(io_error("close to others", &socket.path))?;
        Ok(socket)
    }

    /// One caller after the other.
    pub(super) async fn serve(&self, broker: &Administration, shutdown: &Shutdown) {
        loop {
            let caller = tokio::select! {
                () = shutdown.triggered() => return,
                caller = self.listener.accept() => caller,
            };
            let answered = match caller {
                Ok((stream, _)) => answer(stream, broker).await,
                Err(error) => {
                    tokio::time::sleep(PAUSE).await;
                    Err(error)
                }
            };
            if let Err(error) = answered {
                let cause = waxseal_serve::causes(&error);
                tracing::warn!(cause, "an operator's command was not answered");
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If it stays, the next start removes it.
        let _ = fs::remove_file(&self.path);
    }
}

async fn answer(mut stream: UnixStream, broker: &Administration) -> io::Result<()> {
    let caller = stream.peer_cred()?.uid();
    if caller != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("user {caller} called"),
        ));
    }
    let order = timeout(PATIENCE, line(&mut stream, MAX_ORDER)).await??;
    let answer = broker.answer(&order).await;
    timeout(PATIENCE, stream.write_all(answer.as_bytes())).await?
}

pub(super) async fn order(
    directory: &Path,
    order: &Order,
) -> Result<Option<OrderDone>, ControlError> {
    let directory = directory.join(Part::Broker.folder());
    let path = directory.join(NAME);
    let connect = async {
        let address = Address::of(&directory)?;
        UnixStream::connect(&address.path).await
    };
    let mut stream = match connect.await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => return Ok(None),
            _ => return Err(io_error("reach the running broker at", &path)(error)),
        },
    };
    let exchange = async {
        stream.write_all(order.line().as_bytes()).await?;
        line(&mut stream, MAX_ANSWER).await
    };
    let answer = timeout(WAIT, exchange).await;
    let answer = answer.map_err(|_| ControlError::NoAnswer)?;
    let answer = answer.map_err(io_error("talk to the running broker at", &path))?;
    if answer.last() != Some(&b'\n') {
        return Err(ControlError::NoAnswer);
    }
    Ok(Some(OrderDone::parse(&answer)?))
}

/// Reads a line, and one byte more than allowed at most, which tells that it is too long.
async fn line(stream: &mut UnixStream, most: usize) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    BufReader::new(stream.take(most))
        .read_until(b'\n', &mut line)
        .await?;
    Ok(line)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ControlError + use<> {
    let path = path.to_owned();
    move |source| ControlError::Io {
        action,
        path,
        source,
    }
}
