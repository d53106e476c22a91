//! A log of words: the smallest personality, so that crashes of the engine are cheap to try.

use std::borrow::Cow;

use bytes::Bytes;
use waxseal_crypto::{BoxFuture, Time, sha256};
use waxseal_log_server::{
    Answer, BundleKind, CheckError, DedupKey, Endpoint, Logged, Personality, Record, Refusal,
    Submission,
};
use waxseal_serve::BoxError;
use waxseal_tlog::{EntryBundle, Origin};

/// Where words are posted.
pub const WORDS: &str = "/words";

/// A log whose entries are the bodies of requests.
#[derive(Debug, Clone, Copy)]
pub struct Words;

struct Word(Vec<u8>);

impl Submission for Word {
    fn key(&self) -> DedupKey {
        sha256(&self.0)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), CheckError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn record(&self, _: u64, _: Time) -> Option<Record> {
        Some(Record {
            stored: self.0.clone(),
            beside: Vec::new(),
        })
    }

    fn is_stored_as(&self, stored: &[u8]) -> bool {
        self.0 == stored
    }
}

impl Personality for Words {
    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint {
            path: WORDS,
            max_body: 1000,
        }]
    }

    fn read_prefixes(&self) -> &'static [&'static str] {
        &[""]
    }

    fn bundles(&self) -> BundleKind {
        BundleKind::Entries
    }

    fn genesis(&self, _: &Origin) -> BoxFuture<'_, Result<Option<Box<dyn Submission>>, BoxError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn parse(&self, _: usize, body: &Bytes) -> Result<Box<dyn Submission>, Refusal> {
        Ok(Box::new(Word(body.to_vec())))
    }

    fn key(&self, stored: &[u8]) -> Option<DedupKey> {
        Some(sha256(stored))
    }

    fn leaf<'a>(&self, stored: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(stored))
    }

    fn encode_bundle(&self, stored: &[Vec<u8>]) -> Vec<u8> {
        let mut bundle = EntryBundle::new();
        for entry in stored {
            let _ = bundle.push(entry.clone());
        }
        bundle.encode()
    }

    fn decode_bundle(&self, bundle: &[u8], width: u16) -> Option<Vec<Vec<u8>>> {
        let bundle = EntryBundle::parse(bundle, width).ok()?;
        Some(bundle.entries().to_vec())
    }

    fn answer<'a>(&'a self, logged: &'a Logged) -> BoxFuture<'a, Result<Answer, BoxError>> {
        Box::pin(async move {
            if logged.is_duplicate() {
                return Ok(Answer::Duplicate);
            }
            Ok(Answer::Created {
                content_type: "application/json",
                body: logged.entry("word", "1")?.to_json().into_bytes(),
            })
        })
    }
}
