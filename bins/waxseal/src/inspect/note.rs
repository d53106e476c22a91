//! A checkpoint or another signed note: its text, and whose signatures are below it.

use waxseal_tlog::SignedNote;

use super::signatures::Signatures;
use crate::outcome::{Class, Failure};
use crate::shown::Shown;

/// Shows a signed note.
///
/// # Errors
/// [`Class::Malformed`] if it is not one.
pub(crate) fn shown(text: &str, signatures: &mut Signatures<'_>) -> Result<Shown, Failure> {
    let note = SignedNote::parse(text).map_err(|error| {
        Failure::new(
            Class::Malformed,
            "malformed",
            "this signed note is malformed",
        )
        .because(&error)
    })?;
    let shown = match note.unverified_checkpoint() {
        Ok(checkpoint) => Shown::fields([
            ("kind", Shown::text("checkpoint")),
            ("origin", Shown::text(checkpoint.origin())),
            ("treeSize", Shown::text(checkpoint.tree_size())),
            ("rootHash", Shown::hex(checkpoint.root_hash())),
        ])
        .with_text("extensions", &checkpoint.extensions().join("\n")),
        Err(_) => Shown::fields([
            ("kind", Shown::text("signed note")),
            ("text", Shown::text(note.unverified_text())),
        ]),
    };
    let lines = note.signatures().iter().map(|line| {
        let status = signatures.judge(&note, line);
        Shown::fields([
            ("name", Shown::text(line.name())),
            ("keyId", Shown::text(line.key_id())),
        ])
        .with_some("status", status.map(Shown::text))
    });
    let lines = lines.collect();
    Ok(shown.with("signatures", Shown::List(lines)))
}
