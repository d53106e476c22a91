//! Entries for the log: distinct, each with a real signature and a real certificate.

use std::sync::Arc;

use anyhow::Result;
use waxseal_tests_simulation::{Acknowledgement, Author, ENTRIES, Entry};
use waxseal_tlog::LogKey;

use super::{Asking, Endpoint, Work, told};

/// Work for the transparency log.
pub struct Entries {
    author: Arc<Author>,
    key: Arc<LogKey>,
    about: String,
    made: u64,
}

impl Entries {
    /// Entries by an author, for the log with this key; `about` makes them distinct from others.
    pub fn new(key: Arc<LogKey>, author: Arc<Author>, about: &str) -> Self {
        Self {
            author,
            key,
            about: about.to_owned(),
            made: 0,
        }
    }
}

impl Work for Entries {
    type Asked = Entry;

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            path: ENTRIES,
            content_type: "application/json",
            status: 201,
        }
    }

    fn request(&mut self) -> Result<Asking<Entry>> {
        self.made += 1;
        let about = format!("{} {}", self.about, self.made);
        let mut asked = told(self.author.entry(&about))?;
        Ok(Asking {
            body: std::mem::take(&mut asked.request),
            lines: "".into(),
            asked,
        })
    }

    /// The bytes, the inclusion proof, and the signature of the checkpoint.
    fn verify(&self, asked: &Entry, answer: &[u8]) -> Result<()> {
        told(Acknowledgement::verify(answer, asked, &self.key)).map(drop)
    }
}
