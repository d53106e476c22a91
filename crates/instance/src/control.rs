//! The socket by which an operator's commands reach the broker of an instance that runs: its store
//! belongs to one process, and nobody should have to stop a service to ban one person.
//!
//! A connection is one order and one answer, a line each. Who may send one is who may open the data
//! directory: it is closed to others, the socket in it too, and the caller has to be the same user.

#[cfg(unix)]
mod socket;

use std::io;
use std::path::{Path, PathBuf};

use waxseal_identity_server::{Administration, Order, OrderDone, OrderError};
use waxseal_serve::Shutdown;

use crate::{DataDir, DataError};

/// Why an order did not reach the broker, or its answer did not come back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The system refuses.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The broker was asked and said nothing. It may have done it.
    #[error("the running broker gave no answer: its log may say why")]
    NoAnswer,
    /// The broker refused.
    #[error(transparent)]
    Order(#[from] OrderError),
}

/// Takes orders for as long as it lives.
#[derive(Debug)]
pub struct Control {
    #[cfg(unix)]
    socket: socket::Socket,
}

impl Control {
    /// Makes the socket beside the broker's records. One that a killed process left is replaced.
    ///
    /// # Errors
    /// [`ControlError`]: also where the system is not Linux and the path is longer than a socket's
    /// may be, which is about a hundred bytes.
    pub fn open(data: &DataDir) -> Result<Self, ControlError> {
        #[cfg(unix)]
        return Ok(Self {
            socket: socket::Socket::open(data)?,
        });
        #[cfg(not(unix))]
        {
            let _ = data;
            Ok(Self {})
        }
    }

    /// Hands orders to the broker until the shutdown. Without it the broker is as well as before, so
    /// nothing that happens here ends the process.
    pub async fn serve(self, broker: Administration, shutdown: Shutdown) {
        #[cfg(unix)]
        self.socket.serve(&broker, &shutdown).await;
        #[cfg(not(unix))]
        {
            let _ = broker;
            shutdown.triggered().await;
        }
    }
}

/// Opens the socket and takes orders until the shutdown; an instance that cannot is served without.
pub async fn serve_control(data: &DataDir, broker: Administration, shutdown: Shutdown) {
    match Control::open(data) {
        Ok(control) => control.serve(broker, shutdown).await,
        Err(error) => {
            let cause = waxseal_serve::causes(&error);
            tracing::warn!(cause, "operators' commands need this instance stopped");
            shutdown.triggered().await;
        }
    }
}

/// Sends an order to the broker that runs on a directory; `None` if none listens there.
///
/// # Errors
/// [`ControlError`].
pub async fn order_running(
    directory: &Path,
    order: &Order,
) -> Result<Option<OrderDone>, ControlError> {
    #[cfg(unix)]
    return socket::order(directory, order).await;
    #[cfg(not(unix))]
    {
        let _ = (directory, order);
        Ok(None)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
