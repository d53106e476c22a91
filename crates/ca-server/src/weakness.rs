//! Which keys are too weak to be certified (authority.md §1.4).

use waxseal_crypto::{KeyKind, PublicKey, SignatureAlgorithm};

use crate::natural::Natural;

/// Moduli of these lengths exactly: the ones of Sigstore's algorithm registry.
const RSA_BITS: [usize; 3] = [2048, 3072, 4096];
/// The least exponent (FIPS 186-5 §A.1.1).
const LEAST_EXPONENT: u64 = 65_537;
/// The end of the exponents: what common implementations can read.
const EXPONENT_BITS: usize = 32;
/// Trial division by the primes below this; a generator with a fault is found by it.
const TRIAL_LIMIT: u32 = 4096;
/// The primes that divide the generator's constant for keys of every length (CVE-2017-15361).
const ROCA_LIMIT: u32 = 168;
/// How many steps of Fermat's method: moduli of two close primes fall at once (CVE-2022-26320).
const FERMAT_STEPS: usize = 100;

/// Why a key is too weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Weakness {
    /// Not P-256, P-384, P-521, Ed25519 or RSA.
    #[error("keys of this kind are not certified")]
    Kind,
    /// An RSA modulus of another length than 2048, 3072 or 4096 bits.
    #[error("an RSA modulus has 2048, 3072 or 4096 bits, this one has {bits}")]
    ModulusLength {
        /// Its length.
        bits: usize,
    },
    /// An RSA exponent that is even, below 65537 or above 32 bits: a small one makes forgery of
    /// sloppily checked signatures possible.
    #[error("the RSA exponent is even, too small or too large")]
    Exponent,
    /// A small prime divides the modulus.
    #[error("the RSA modulus has a small factor")]
    SmallFactor,
    /// The modulus has the fingerprint of the generator of ROCA (CVE-2017-15361).
    #[error("the RSA modulus has the structure of a generator whose keys can be factored")]
    Roca,
    /// The factors are close to each other: Fermat's method finds them.
    #[error("the factors of the RSA modulus are too close")]
    CloseFactors,
    /// The point is not on its curve, not canonical, or of small order.
    #[error("the key's point is not on its curve, or of small order")]
    Point,
}

/// The one algorithm that a key may prove itself with; `None` if keys of the kind are not certified.
pub(crate) const fn algorithm_of(kind: KeyKind) -> Option<SignatureAlgorithm> {
    match kind {
        KeyKind::P256 => Some(SignatureAlgorithm::EcdsaP256Sha256),
        KeyKind::P384 => Some(SignatureAlgorithm::EcdsaP384Sha384),
        KeyKind::P521 => Some(SignatureAlgorithm::EcdsaP521Sha512),
        KeyKind::Ed25519 => Some(SignatureAlgorithm::Ed25519),
        KeyKind::Rsa => Some(SignatureAlgorithm::RsaPkcs1Sha256),
        _ => None,
    }
}

/// Checks everything but the point, which the provider checks when it prepares the key.
pub(crate) fn check(key: &PublicKey) -> Result<SignatureAlgorithm, Weakness> {
    let algorithm = algorithm_of(key.kind()).ok_or(Weakness::Kind)?;
    if let Some((modulus, exponent)) = key.rsa_components() {
        let bits = key.rsa_bits().unwrap_or_default();
        if !RSA_BITS.contains(&bits) {
            return Err(Weakness::ModulusLength { bits });
        }
        check_exponent(exponent)?;
        check_modulus(modulus)?;
    }
    Ok(algorithm)
}

fn check_exponent(exponent: &[u8]) -> Result<(), Weakness> {
    let fits = exponent.len() * 8 <= EXPONENT_BITS;
    let value = exponent
        .iter()
        .take(8)
        .fold(0, |n, byte| (n << 8) | u64::from(*byte));
    if fits && value >= LEAST_EXPONENT && value % 2 == 1 {
        Ok(())
    } else {
        Err(Weakness::Exponent)
    }
}

fn check_modulus(modulus: &[u8]) -> Result<(), Weakness> {
    let modulus = Natural::from_be_bytes(modulus);
    if modulus.rem(2) == 0 || primes(TRIAL_LIMIT).any(|prime| modulus.rem(prime) == 0) {
        return Err(Weakness::SmallFactor);
    }
    if has_roca_fingerprint(&modulus) {
        return Err(Weakness::Roca);
    }
    if has_close_factors(&modulus) {
        return Err(Weakness::CloseFactors);
    }
    Ok(())
}

/// The faulty generator makes primes k·M + (65537^a mod M), M the product of the first primes. So
/// modulo each of them its moduli are powers of 65537, which few other numbers are modulo all.
fn has_roca_fingerprint(modulus: &Natural) -> bool {
    primes(ROCA_LIMIT).all(|prime| {
        let wanted = modulus.rem(prime);
        let mut power = 1;
        loop {
            if power == wanted {
                return true;
            }
            power = power * (65_537 % prime) % prime;
            if power <= 1 {
                return false;
            }
        }
    })
}

/// Fermat's method: n = a² − b² with a just above √n if the factors are close.
fn has_close_factors(modulus: &Natural) -> bool {
    let (mut a, rest) = modulus.square_root();
    if rest.is_zero() {
        return true;
    }
    // (a + 1)² − n = 2a + 1 − rest, and each next one is 2a + 1 more.
    let mut difference = a.clone();
    difference.add(&a);
    difference.increment();
    difference.subtract(&rest);
    for _ in 0..FERMAT_STEPS {
        if difference.is_square() {
            return true;
        }
        a.increment();
        difference.add(&a);
        difference.add(&a);
        difference.increment();
    }
    false
}

/// The odd primes below a limit.
fn primes(limit: u32) -> impl Iterator<Item = u32> {
    let is_prime = |n: &u32| {
        (3..)
            .step_by(2)
            .take_while(|d| d * d <= *n)
            .all(|d| !n.is_multiple_of(d))
    };
    (3..limit).step_by(2).filter(is_prime)
}

#[cfg(test)]
mod tests;
