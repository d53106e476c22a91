//! How many look something up in the stores at once.
//!
//! A look-up reads a whole bundle and may take some 50 MiB; on as many threads as there are requests
//! it would take all memory. Those who wait hold nothing.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::shared::{ReadError, off_thread};

/// Most who wait; the others are told to come back.
const MAX_WAITING: usize = 512;

#[derive(Debug)]
pub(crate) struct Gate {
    waiting: Arc<Semaphore>,
    inside: Arc<Semaphore>,
}

/// One who is inside.
#[derive(Debug)]
struct Pass {
    _waiting: OwnedSemaphorePermit,
    _inside: OwnedSemaphorePermit,
}

impl Gate {
    /// For so many at once.
    pub(crate) fn new(inside: usize) -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            inside: Arc::new(Semaphore::new(inside.max(1))),
        }
    }

    /// Reads, off the threads that take requests in, when it is its turn. A read that has begun ends
    /// by itself, and keeps others out until then: a client that leaves makes no room for another.
    ///
    /// # Errors
    /// [`ReadError::Busy`]: too many wait. Whatever the read says.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ReadError>> + Send + 'static,
    {
        let pass = self.pass().await?;
        let inside = async move {
            let _pass = pass;
            read.await
        };
        off_thread(inside).await.map_err(ReadError::Store)?
    }

    async fn pass(&self) -> Result<Pass, ReadError> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_| ReadError::Busy)?;
        // The semaphore is never closed.
        let inside = Arc::clone(&self.inside).acquire_owned().await;
        Ok(Pass {
            _waiting: waiting,
            _inside: inside.map_err(|_| ReadError::Busy)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn busy() {
        let gate = Arc::new(Gate::new(1));
        let inside = gate.pass().await.unwrap();
        let waiting: Vec<_> = (1..MAX_WAITING)
            .map(|_| {
                let gate = Arc::clone(&gate);
                tokio::spawn(async move { gate.pass().await.map(|_| ()) })
            })
            .collect();
        while gate.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(gate.pass().await, Err(ReadError::Busy)));
        drop(inside);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        assert!(gate.pass().await.is_ok());
    }

    /// A client asks for a large bundle, leaves, and asks again: as many are in memory as it likes.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn s_51_a_client_that_leaves_makes_no_room() {
        let gate = Arc::new(Gate::new(1));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let own = Arc::clone(&gate);
        let client = tokio::spawn(async move {
            let read = async move {
                begun.send(()).unwrap();
                ended.await.unwrap();
                Ok(())
            };
            own.read(read).await
        });
        has_begun.await.unwrap();
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        assert_eq!(gate.inside.available_permits(), 0);
        end.send(()).unwrap();
        gate.read(async { Ok(()) }).await.unwrap();
    }
}
