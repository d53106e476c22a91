//! Certificate and key of a server, read once.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::ListenError;

/// Reads a PEM chain and a PEM key (PKCS#8, SEC 1 or PKCS#1).
pub(crate) fn server_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, ListenError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source: PemError| ListenError::TlsFile {
            path,
            source: source.into(),
        }
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .map_err(unreadable(cert))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable(cert))?;
    if chain.is_empty() {
        return Err(ListenError::NoCertificate {
            path: cert.to_owned(),
        });
    }
    let key_der = match PrivateKeyDer::from_pem_file(key) {
        Ok(key_der) => key_der,
        Err(PemError::NoItemsFound) => {
            return Err(ListenError::NoKey {
                path: key.to_owned(),
            });
        }
        Err(error) => return Err(unreadable(key)(error)),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, key_der)
        })
        .map_err(|source| ListenError::KeyMismatch {
            source: source.into(),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
