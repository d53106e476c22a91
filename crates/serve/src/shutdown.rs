//! The one signal that ends a process in good order.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// Tells every part of the process to finish. Clones share one signal; it fires once.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Shutdown {
    /// A signal that has not fired.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// A signal that fires on SIGINT and SIGTERM.
    ///
    /// # Errors
    /// The signals cannot be caught, or there is no runtime.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let fired = shutdown.clone();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::spawn(async move {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                fired.trigger();
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            // Without a handler the platform's own default ends the process.
            if tokio::signal::ctrl_c().await.is_ok() {
                fired.trigger();
            }
        });
        Ok(shutdown)
    }

    /// Fires.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }

    /// Whether it has fired.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it fires; at once if it has.
    pub async fn triggered(&self) {
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|fired| *fired).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
