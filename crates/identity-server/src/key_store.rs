//! Where the broker's signing keys are kept: one secret document.

use waxseal_crypto::BoxFuture;
use zeroize::Zeroizing;

use crate::StoreError;

/// Keeps one document of some kilobytes, which the broker alone reads and writes.
///
/// **Consistency.** [`KeyStore::load`] gives what the last [`KeyStore::save`] that answered `Ok`
/// was given, whole; `None` only if there never was one. A `save` that fails may or may not have
/// taken place, and never leaves a mixture of two.
///
/// **Durability.** What was answered `Ok` survives the loss of power: a key that has signed a
/// token is still published after the next start.
///
/// **Concurrency.** One process has the store; the broker makes one call at a time.
///
/// **Trust.** The document holds private keys. Who reads it signs tokens as anybody; who writes it
/// does too, once the broker starts again. It is kept where other private keys are, apart from
/// [`crate::Store`], whose reader learns only who logged in.
pub trait KeyStore: Send + Sync {
    /// The document, if there is one.
    fn load(&self) -> BoxFuture<'_, Result<Option<Zeroizing<Vec<u8>>>, StoreError>>;

    /// Puts a document in the place of the one before.
    fn save(&self, document: Zeroizing<Vec<u8>>) -> BoxFuture<'_, Result<(), StoreError>>;
}
