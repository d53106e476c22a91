//! Which trusted root is used: the public instance's as it ships in this program, or a file's.
//!
//! Nothing here looks for files that were not named, and nothing opens a socket: a trust root that is
//! fetched without authentication is none.

use std::io::Read as _;
use std::path::Path;

use waxseal_formats::json::{self, Limits};
use waxseal_formats::{
    ClientTrustConfig, MAX_TRUSTED_ROOT_BYTES, MAX_TRUSTED_ROOT_VALUES, TrustedRoot,
};

use crate::args::TrustArgs;
use crate::outcome::{Class, Failure};

/// Where an instance keeps its clients' files, below its data directory.
pub(crate) const CLIENT_FOLDER: &str = "client";
const TRUSTED_ROOT: &str = "trusted_root.json";

/// A trusted root, and where it comes from.
#[derive(Debug)]
pub(crate) struct Trust {
    /// What is trusted.
    pub(crate) root: TrustedRoot,
    /// `public`, `staging`, or the path of a file.
    pub(crate) source: String,
}

/// Reads the trusted root that the arguments name.
///
/// # Errors
/// [`Class::TrustRoot`] if a file is missing or malformed, [`Class::Usage`] for a URL.
pub(crate) fn load(args: &TrustArgs) -> Result<Trust, Failure> {
    if let Some(path) = &args.trusted_root {
        return from_file(path);
    }
    if let Some(instance) = &args.instance {
        return of_instance(instance);
    }
    let (root, source) = if args.staging {
        (TrustedRoot::staging(), "staging")
    } else {
        (TrustedRoot::public_good(), "public")
    };
    Ok(Trust {
        root,
        source: source.to_owned(),
    })
}

/// The trusted root of an instance: its client folder, the parent of that, or one file with both
/// trusted root and signing config.
fn of_instance(instance: &Path) -> Result<Trust, Failure> {
    let text = instance.to_string_lossy();
    if text.contains("://") {
        return Err(Failure::usage(format!("--instance takes a directory or a file, not {text}"))
            .hint("a trust root that is fetched unauthenticated is none: copy the instance's client files"));
    }
    if !instance.is_dir() {
        return from_file(instance);
    }
    let candidates = [
        instance.join(CLIENT_FOLDER).join(TRUSTED_ROOT),
        instance.join(TRUSTED_ROOT),
    ];
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => from_file(path),
        None => {
            let looked: Vec<String> = candidates
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let message = format!("{} is not an instance", instance.display());
            Err(
                Failure::new(Class::TrustRoot, "trusted-root-missing", message)
                    .expected(looked.join(" or "), "neither"),
            )
        }
    }
}

/// Reads a trusted root, or a client trust config for the trusted root in it.
fn from_file(path: &Path) -> Result<Trust, Failure> {
    let bytes = read(path)?;
    let malformed = |error: &dyn std::error::Error| {
        let message = format!("the trusted root {} cannot be used", path.display());
        Failure::new(Class::TrustRoot, "trusted-root-malformed", message).because(error)
    };
    let root = if media_type(&bytes).is_some_and(|name| name.contains("clienttrustconfig")) {
        ClientTrustConfig::from_json(&bytes)
            .map_err(|error| malformed(&error))?
            .trusted_root
    } else {
        TrustedRoot::from_json(&bytes).map_err(|error| malformed(&error))?
    };
    Ok(Trust {
        root,
        source: path.display().to_string(),
    })
}

/// The media type that a JSON file says it is of; `None` if it is not JSON, or says none.
pub(crate) fn media_type(bytes: &[u8]) -> Option<String> {
    let limits = Limits {
        bytes: 32 << 20,
        values: 2 * MAX_TRUSTED_ROOT_VALUES,
    };
    let value = json::parse(bytes, limits).ok()?;
    let object = value.as_object()?;
    let found = object
        .value("mediaType")
        .or_else(|| object.value("media_type"))?;
    found.as_str().map(str::to_owned)
}

/// The bytes of a file of trust, up to twice the length of the longest.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("the trusted root {} cannot be read", path.display());
        Failure::new(Class::TrustRoot, "trusted-root-missing", message).because(&error)
    };
    let limit = u64::try_from(2 * MAX_TRUSTED_ROOT_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}
