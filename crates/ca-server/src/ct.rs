//! The Certificate Transparency log, as the one who submits to it sees it (RFC 6962 §4).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use waxseal_crypto::{Clock, Time};
use waxseal_formats::FieldError;
use waxseal_formats::ct::{AddChainRequest, SctAnswer};
use waxseal_pki::{Certificate, CtEntry, CtLogKey, Sct, SctError};
use waxseal_transport::{Request, Transport, TransportError, Url};

use crate::{Config, Context, StartError};

/// How long the log may take to promise.
pub const CT_DEADLINE: Duration = Duration::from_secs(10);

/// How far the log's clock may be from ours. A promise from the future would be refused by
/// verifiers (RFC 6962 §5.2), and one from before the certificate's making is not about it.
pub const MAX_SCT_SKEW: Duration = Duration::from_secs(10);

/// The longest answer to a submission: an SCT has less than 1 KiB.
const MAX_ANSWER: usize = 16 * 1024;
/// The longest answer to `get-roots`; it is only looked at for its status.
const MAX_ROOTS: usize = 1024 * 1024;

/// The log that every precertificate goes to.
pub(crate) struct CtClient {
    key: CtLogKey,
    add_pre_chain: Url,
    get_roots: Url,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

/// Why there is no promise. Whatever it is, no certificate is made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CtError {
    /// The log did not answer, or not with 200.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer is not an SCT of version 1.
    #[error("the log's answer: {0}")]
    Answer(#[from] FieldError),
    /// The promise is malformed, another log's, or not signed over this precertificate.
    #[error(transparent)]
    Sct(#[from] SctError),
    /// The promise is from another time than now.
    #[error("the log's promise is of {at:?}, and it is {now}")]
    Time {
        /// The promise's time; `None` beyond year 9999.
        at: Option<Time>,
        /// Our time.
        now: Time,
    },
}

impl CtClient {
    pub(crate) fn new(config: &Config, context: &Context) -> Result<Self, StartError> {
        let log = &config.ct_log;
        let key = CtLogKey::new(context.provider, &log.key).map_err(StartError::CtLogKey)?;
        Ok(Self {
            key,
            add_pre_chain: endpoint(&log.url, "add-pre-chain")?,
            get_roots: endpoint(&log.url, "get-roots")?,
            transport: Arc::clone(&context.transport),
            clock: Arc::clone(&context.clock),
        })
    }

    /// Submits a precertificate with its chain; the promise is verified over `tbs`, the bytes of
    /// the certificate to come.
    pub(crate) async fn promise(
        &self,
        precertificate: &Certificate,
        chain: &[Certificate],
        issuer_key_hash: [u8; 32],
        tbs: &[u8],
    ) -> Result<Sct, CtError> {
        let submitted = [precertificate].into_iter().chain(chain);
        let body = AddChainRequest {
            chain: submitted.map(|c| c.der().to_vec()).collect(),
        };
        let url = self.add_pre_chain.clone();
        let request = Request::post(url, "application/json", body.to_json().into_bytes())
            .with_max_response(MAX_ANSWER)
            .with_deadline(CT_DEADLINE);
        let answer = self.send(request).await?;
        let sct = read_sct(&SctAnswer::from_json(&answer)?)?;
        let entry = CtEntry::Precertificate {
            issuer_key_hash,
            tbs,
        };
        sct.verify(&self.key, &entry)?;
        let (at, now) = (sct.time(), self.clock.now());
        let near = |at: Time| at.saturating_since(now).max(now.saturating_since(at));
        // The request itself may have taken all of its time since the log promised.
        match at {
            Some(at) if at <= now && near(at) <= CT_DEADLINE + MAX_SCT_SKEW => Ok(sct),
            Some(at) if near(at) <= MAX_SCT_SKEW => Ok(sct),
            at => Err(CtError::Time { at, now }),
        }
    }

    /// Whether the log answers.
    pub(crate) async fn answers(&self) -> Result<(), CtError> {
        let request = Request::get(self.get_roots.clone())
            .with_max_response(MAX_ROOTS)
            .with_deadline(CT_DEADLINE);
        self.send(request).await.map(drop)
    }

    async fn send(&self, request: Request) -> Result<Vec<u8>, CtError> {
        // A transport keeps the deadline itself; one that does not may not keep the caller waiting.
        let response = timeout(CT_DEADLINE, self.transport.send(request)).await;
        let late = TransportError::Deadline { after: CT_DEADLINE };
        Ok(response.map_err(|_| late)??.expect_status(&[200])?.body)
    }
}

/// `{base}/ct/v1/{name}`: the base may have a path, and may end in a slash.
fn endpoint(base: &Url, name: &str) -> Result<Url, StartError> {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["ct", "v1", name]);
    }
    url.set_query(None);
    url.set_fragment(None);
    Request::get(url.clone())
        .check()
        .map_err(StartError::CtLogUrl)?;
    Ok(url)
}

/// The SCT of an answer. JSON and TLS have the same fields, so it is put into the form that
/// certificates carry and read from there.
fn read_sct(answer: &SctAnswer) -> Result<Sct, SctError> {
    let extensions = u16::try_from(answer.extensions.len()).map_err(|_| SctError::Malformed)?;
    let mut bytes = vec![0];
    bytes.extend(<[u8; 32]>::try_from(answer.id.as_slice()).map_err(|_| SctError::Malformed)?);
    bytes.extend(answer.timestamp.to_be_bytes());
    bytes.extend(extensions.to_be_bytes());
    bytes.extend(&answer.extensions);
    bytes.extend(&answer.signature);
    Sct::parse(&bytes)
}
