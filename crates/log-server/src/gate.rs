//! How many look something up in the stores at once.
//!
//! A look-up reads a whole bundle and may take some 50 MiB; on as many threads as there are requests
//! it would take all memory. Those who wait hold nothing.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ReadError;

/// Most who wait; the others are told to come back.
const MAX_WAITING: usize = 512;

#[derive(Debug)]
pub(crate) struct Gate {
    waiting: Semaphore,
    inside: Semaphore,
}

/// One who is inside.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    _waiting: Option<SemaphorePermit<'a>>,
    _inside: SemaphorePermit<'a>,
}

impl Gate {
    /// For so many at once.
    pub(crate) fn new(inside: usize) -> Self {
        Self {
            waiting: Semaphore::new(MAX_WAITING),
            inside: Semaphore::new(inside.max(1)),
        }
    }

    /// Waits for its turn.
    ///
    /// # Errors
    /// [`ReadError::Busy`]: too many wait.
    pub(crate) async fn pass(&self) -> Result<Pass<'_>, ReadError> {
        let waiting = self.waiting.try_acquire().map_err(|_| ReadError::Busy)?;
        Ok(Pass {
            _waiting: Some(waiting),
            ..self.pass_in_turn().await?
        })
    }

    /// The same for somebody who is counted elsewhere, and is not turned away.
    ///
    /// # Errors
    /// None: the semaphore is never closed.
    pub(crate) async fn pass_in_turn(&self) -> Result<Pass<'_>, ReadError> {
        let inside = self.inside.acquire().await.map_err(|_| ReadError::Busy)?;
        Ok(Pass {
            _waiting: None,
            _inside: inside,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
}
