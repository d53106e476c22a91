//! A log that runs until it is stopped.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;
use waxseal_serve::{Fatal, Shutdown};

use crate::service::SubmitError;
use crate::{LogServer, Logged};

pub(super) struct Running {
    pub(super) log: Arc<LogServer>,
    shutdown: Shutdown,
    ended: JoinHandle<Result<(), Fatal>>,
}

impl Running {
    pub(super) fn new(log: LogServer) -> Self {
        let (log, shutdown) = (Arc::new(log), Shutdown::new());
        let ended = tokio::spawn({
            let (log, shutdown) = (Arc::clone(&log), shutdown.clone());
            async move { log.run(shutdown).await }
        });
        Self {
            log,
            shutdown,
            ended,
        }
    }

    pub(super) async fn submit(&self, text: &str) -> Result<Logged, SubmitError> {
        let body = Bytes::from(text.to_owned());
        self.log.service.submit(0, &body).await
    }

    pub(super) async fn grow(&self, from: u64, to: u64) {
        let submitted = (from..to).map(|n| {
            let (log, body) = (Arc::clone(&self.log), Bytes::from(format!("entry {n}")));
            tokio::spawn(async move { log.service.submit(0, &body).await.unwrap() })
        });
        for logged in submitted.collect::<Vec<_>>() {
            logged.await.unwrap();
        }
    }

    pub(super) async fn stop(self) {
        self.shutdown.trigger();
        self.ended.await.unwrap().unwrap();
    }
}
