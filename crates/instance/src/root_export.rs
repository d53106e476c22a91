//! The keys of the roots, written once before they are forgotten: encrypted PKCS#8 (RFC 5958 §3) by
//! PBES2 with scrypt and AES-256 (RFC 8018, RFC 7914), which `openssl pkcs8` reads.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pkcs8::PrivateKeyInfoRef;
use waxseal_crypto::{Pem, PrivateKey};
use waxseal_pki::Certificate;
use zeroize::Zeroizing;

use crate::data::sync_directory_of;

/// The shortest passphrase, in characters: whoever gets the file can try as many as they like.
pub const MIN_PASSPHRASE: usize = 12;

/// Where the keys of the roots go, and what they are encrypted with.
pub struct RootExport {
    path: PathBuf,
    passphrase: Zeroizing<String>,
}

/// Why the keys of the roots were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootExportError {
    /// The passphrase is too short.
    #[error(
        "the passphrase for the root keys has {length} characters, and needs {MIN_PASSPHRASE} or more"
    )]
    PassphraseTooShort {
        /// How many it has.
        length: usize,
    },
    /// Something is there. Nothing is ever overwritten.
    #[error("{} is there already: name another file", path.display())]
    FileExists {
        /// Where.
        path: PathBuf,
    },
    /// The instance has its certificates, and the keys of their roots are gone.
    #[error(
        "the keys of this instance's roots were forgotten when it was made: only a new instance can \
         export them"
    )]
    RootsForgotten,
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    NotWritten {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key cannot be encrypted.
    #[error("a root key cannot be encrypted")]
    Encryption(#[source] pkcs8::Error),
}

/// A root with its key.
pub(crate) struct ExportedRoot<'a> {
    pub(crate) key: &'a PrivateKey,
    pub(crate) certificate: &'a Certificate,
}

impl RootExport {
    /// A file that is not there yet.
    ///
    /// # Errors
    /// [`RootExportError::PassphraseTooShort`] or [`RootExportError::FileExists`].
    pub fn new(path: &Path, passphrase: Zeroizing<String>) -> Result<Self, RootExportError> {
        let length = passphrase.chars().count();
        if length < MIN_PASSPHRASE {
            return Err(RootExportError::PassphraseTooShort { length });
        }
        let path = path.to_owned();
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(RootExportError::FileExists { path });
        }
        Ok(Self { path, passphrase })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes each root: its key, encrypted, and its certificate. The file is durable before
    /// anything that was signed with the keys is kept.
    pub(crate) fn write(&self, roots: &[ExportedRoot<'_>]) -> Result<(), RootExportError> {
        let mut text = String::new();
        for root in roots {
            let key = PrivateKeyInfoRef::try_from(root.key.pkcs8_der())
                .and_then(|key| key.encrypt(self.passphrase.as_bytes()))
                .map_err(RootExportError::Encryption)?;
            let key = Pem::new("ENCRYPTED PRIVATE KEY", key.as_bytes());
            let certificate = Pem::new("CERTIFICATE", root.certificate.der());
            text.push_str(&key.encode());
            text.push_str(&certificate.encode());
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = || self.path.clone();
        let mut file = options.open(&self.path).map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                RootExportError::FileExists { path: path() }
            } else {
                RootExportError::NotWritten {
                    path: path(),
                    source,
                }
            }
        })?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_directory_of(&self.path))
            .map_err(|source| RootExportError::NotWritten {
                path: path(),
                source,
            })
    }
}

impl fmt::Debug for RootExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootExport")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
