//! A provider that counts what is asked of another one, and how long it takes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use waxseal_crypto::{
    Backend, CryptoProvider, Input, LocalSigner, PrivateKey, PrivateKeyError, PublicKey,
    SignatureAlgorithm, SignatureError, VerifyingKey,
};

thread_local! {
    static TALLY: RefCell<Tally> = const { RefCell::new(Tally::EMPTY) };
}

/// What one thread has asked of the counting provider: calls and their time, by algorithm.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Keys parsed.
    pub prepared: BTreeMap<SignatureAlgorithm, Calls>,
    /// Signatures checked.
    pub verified: BTreeMap<SignatureAlgorithm, Calls>,
}

/// Calls of one kind.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Calls {
    /// How many.
    pub count: u32,
    /// How long all of them took together.
    pub time: Duration,
}

impl Tally {
    const EMPTY: Self = Self {
        prepared: BTreeMap::new(),
        verified: BTreeMap::new(),
    };

    /// How long all calls took together.
    pub fn time(&self) -> Duration {
        let calls = self.prepared.values().chain(self.verified.values());
        calls.map(|calls| calls.time).sum()
    }
}

/// The aws-lc provider, counted.
pub const fn counting_provider() -> CryptoProvider {
    CryptoProvider::new(&Counting)
}

/// Takes this thread's tally and begins a new one.
pub fn take_tally() -> Tally {
    TALLY.take()
}

fn timed<T>(
    work: impl FnOnce() -> T,
    count: impl FnOnce(&mut Tally) -> &mut BTreeMap<SignatureAlgorithm, Calls>,
    algorithm: SignatureAlgorithm,
) -> T {
    let started = Instant::now();
    let result = work();
    let time = started.elapsed();
    TALLY.with_borrow_mut(|tally| {
        let calls = count(tally).entry(algorithm).or_default();
        calls.count += 1;
        calls.time += time;
    });
    result
}

struct Counting;

struct CountingKey {
    key: Box<dyn VerifyingKey>,
    algorithm: SignatureAlgorithm,
}

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "aws-lc, counted"
    }

    fn verifies(&self, algorithm: SignatureAlgorithm) -> bool {
        waxseal_crypto_aws_lc::provider().verifies(algorithm)
    }

    fn verifying_key(
        &self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn VerifyingKey>, SignatureError> {
        let key = timed(
            || waxseal_crypto_aws_lc::provider().verifying_key(key, algorithm),
            |tally| &mut tally.prepared,
            algorithm,
        )?;
        Ok(Box::new(CountingKey { key, algorithm }))
    }

    fn generate(&self, algorithm: SignatureAlgorithm) -> Result<PrivateKey, PrivateKeyError> {
        waxseal_crypto_aws_lc::provider().generate(algorithm)
    }

    fn signer(
        &self,
        key: &PrivateKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn LocalSigner>, PrivateKeyError> {
        waxseal_crypto_aws_lc::provider().signer(key, algorithm)
    }
}

impl VerifyingKey for CountingKey {
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        timed(
            || self.key.verify(input, signature),
            |tally| &mut tally.verified,
            self.algorithm,
        )
    }
}
