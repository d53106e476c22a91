//! The issuers that entries name: each is an object before the first entry that names it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use waxseal_crypto::sha256;
use waxseal_serve::BoxError;

use crate::{ObjectName, Objects};

/// How many issuers are remembered as written: an authority has a handful. Whoever holds an
/// accepted root could make any number; those beyond are written again, which is harmless.
const MAX_REMEMBERED: usize = 1024;

/// Writes issuers, and remembers which are written: five fsyncs less for every certificate.
pub(super) struct Issuers {
    objects: Arc<dyn Objects>,
    written: Mutex<BTreeSet<[u8; 32]>>,
}

impl Issuers {
    pub(super) const fn new(objects: Arc<dyn Objects>) -> Self {
        Self {
            objects,
            written: Mutex::new(BTreeSet::new()),
        }
    }

    /// Every issuer (DER) is there, durably, when this returns well (static-ct-api).
    ///
    /// # Errors
    /// If the store fails; nothing is remembered then.
    pub(super) async fn keep<'a>(
        &self,
        issuers: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), BoxError> {
        let mut missing = Vec::new();
        for der in issuers {
            let fingerprint = sha256(der);
            if !self.written().contains(&fingerprint) {
                missing.push((fingerprint, der.to_vec()));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let fingerprints: Vec<_> = missing
            .iter()
            .map(|(fingerprint, _)| *fingerprint)
            .collect();
        let named = missing
            .into_iter()
            .map(|(fingerprint, der)| (ObjectName::Issuer(fingerprint), der))
            .collect();
        let objects = Arc::clone(&self.objects);
        crate::shared::off_thread(async move { objects.create(named).await }).await??;
        let mut written = self.written();
        for fingerprint in fingerprints {
            if written.len() < MAX_REMEMBERED {
                written.insert(fingerprint);
            }
        }
        Ok(())
    }

    fn written(&self) -> std::sync::MutexGuard<'_, BTreeSet<[u8; 32]>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
