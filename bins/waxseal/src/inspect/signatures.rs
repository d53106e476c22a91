//! Which of a note's signatures hold, for who names the keys.

use waxseal_crypto_aws_lc::provider;
use waxseal_tlog::{NoteKey, SignatureLine, SignedNote};

use crate::outcome::{Class, Failure};

/// The keys that were named, and what has come of them in one file.
#[derive(Debug, Default)]
pub(crate) struct Signatures<'a> {
    keys: &'a [NoteKey],
    verified: usize,
    invalid: usize,
    malformed: usize,
}

/// The keys, as verifiers write them (signed-note).
///
/// # Errors
/// [`Class::Usage`]: one of them is none.
pub(crate) fn keys(texts: &[String]) -> Result<Vec<NoteKey>, Failure> {
    let key = |text: &String| {
        NoteKey::from_vkey(provider(), text.trim()).map_err(|error| {
            let shown: String = text.chars().take(60).collect();
            Failure::usage(format!("{shown} is no verifier key"))
                .because(&error)
                .expected(
                    "NAME+ID+KEY, as `waxseald log stats` prints it",
                    "another text",
                )
        })
    };
    texts.iter().map(key).collect()
}

impl<'a> Signatures<'a> {
    pub(crate) const fn new(keys: &'a [NoteKey]) -> Self {
        Self {
            keys,
            verified: 0,
            invalid: 0,
            malformed: 0,
        }
    }

    /// What is to be said of one line of a note; nothing, if no keys were named.
    pub(crate) fn judge(
        &mut self,
        note: &SignedNote,
        line: &SignatureLine,
    ) -> Option<&'static str> {
        if self.keys.is_empty() {
            return None;
        }
        let mut keys = self.keys.iter().filter(|key| line.is_by(key)).peekable();
        if keys.peek().is_none() {
            return Some("unknown key");
        }
        // Each line by itself: an invalid one says nothing of the others.
        let alone = SignedNote::from_parts(note.unverified_text(), vec![line.clone()]);
        let holds = alone.is_ok_and(|alone| keys.any(|key| alone.open(&[key]).is_ok()));
        if holds {
            self.verified += 1;
            Some("verified")
        } else {
            self.invalid += 1;
            Some("INVALID")
        }
    }

    /// A note in the file is not one: nobody can tell who has signed it, and the lines of another
    /// do not stand for its own.
    pub(crate) fn reject(&mut self) {
        self.malformed += 1;
    }

    /// What is wrong with the file, if keys were named: a signature by one of them that does not
    /// hold, a note that cannot have one, or none at all.
    pub(crate) fn failure(&self) -> Option<Failure> {
        if self.keys.is_empty() {
            return None;
        }
        if self.invalid > 0 || self.malformed > 0 {
            let message = if self.invalid > 0 {
                "a signature by a key that was given does not hold"
            } else {
                "a checkpoint in it is malformed"
            };
            return Some(Failure::new(
                Class::Cryptographic,
                "signature-line-invalid",
                message,
            ));
        }
        let message = "no key that was given has signed it";
        (self.verified == 0)
            .then(|| Failure::new(Class::TrustRoot, "signature-line-missing", message))
    }
}
