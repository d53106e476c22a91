//! Full bundles, compressed once for those who ask (tlog-tiles: at the HTTP layer).
//!
//! Certificates of one authority are alike: a bundle of 256 comes to less than half. It is done
//! for one bundle at a time, and kept; who asks meanwhile gets the bytes as they are.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;
use waxseal_tlog::TilePath;

/// Bytes of compressed bundles that are kept: those that everybody reads are the newest.
const MAX_KEPT: usize = 16 << 20;

/// zstd's level: its own default.
const ZSTD_LEVEL: i32 = 3;

/// An encoding of HTTP that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Gzip,
}

impl Encoding {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The one that a client likes best (`Accept-Encoding`), of two alike zstd; `None`: as it is.
    pub(super) fn preferred(request: &HeaderMap) -> Option<Self> {
        let values = request.get_all(header::ACCEPT_ENCODING).iter();
        let offers: Vec<_> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(parse_offer)
            .collect();
        let weight = |name: &str| {
            let by_name = |wanted: &str| {
                let mut all = offers.iter();
                all.find(|(offer, _)| offer.eq_ignore_ascii_case(wanted))
                    .map(|(_, weight)| *weight)
            };
            by_name(name).or_else(|| by_name("*")).unwrap_or(0)
        };
        let (zstd, gzip) = (weight("zstd"), weight("gzip"));
        match (zstd, gzip) {
            (0, 0) => None,
            _ if zstd >= gzip => Some(Self::Zstd),
            _ => Some(Self::Gzip),
        }
    }

    fn encode(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
        }
    }
}

/// A coding and its weight, in thousandths.
fn parse_offer(offer: &str) -> Option<(&str, u16)> {
    let mut parts = offer.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let Some(weight) = weight else {
        return Some((name, 1000));
    };
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok();
    match (whole, digits, thousandths) {
        ("0", true, Some(thousandths)) => Some((name, thousandths)),
        ("1", true, Some(0)) => Some((name, 1000)),
        _ => Some((name, 0)),
    }
}

/// Compressed bundles, by name and encoding; the oldest go first.
pub(super) struct Compressor {
    kept: Mutex<Kept>,
    worker: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    bundles: VecDeque<((TilePath, Encoding), Bytes)>,
    size: usize,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self {
            kept: Mutex::default(),
            worker: Arc::new(Semaphore::new(1)),
        }
    }

    /// A bundle in that encoding; `None` if another one is being compressed just now.
    pub(super) async fn compressed(
        &self,
        path: TilePath,
        encoding: Encoding,
        bytes: &Bytes,
    ) -> Option<Bytes> {
        let name = (path, encoding);
        if let Some(kept) = self.find(name) {
            return Some(kept);
        }
        let permit = Arc::clone(&self.worker).try_acquire_owned().ok()?;
        let bytes = bytes.clone();
        let encoded = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            encoding.encode(&bytes)
        });
        let encoded = Bytes::from(encoded.await.ok()?.ok()?);
        self.keep(name, encoded.clone());
        Some(encoded)
    }

    fn find(&self, name: (TilePath, Encoding)) -> Option<Bytes> {
        let kept = self.kept();
        let mut bundles = kept.bundles.iter();
        bundles
            .find(|(known, _)| *known == name)
            .map(|(_, bytes)| bytes.clone())
    }

    fn keep(&self, name: (TilePath, Encoding), encoded: Bytes) {
        let mut kept = self.kept();
        kept.size += encoded.len();
        kept.bundles.push_back((name, encoded));
        while kept.size > MAX_KEPT {
            let Some((_, oldest)) = kept.bundles.pop_front() else {
                break;
            };
            kept.size -= oldest.len();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_a_client_likes_best() {
        use Encoding::{Gzip, Zstd};
        for (value, expected) in [
            ("gzip", Some(Gzip)),
            ("GZIP", Some(Gzip)),
            ("zstd", Some(Zstd)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Gzip)),
            ("zstd;q=0, gzip;q=0.001", Some(Gzip)),
            ("*", Some(Zstd)),
            ("*;q=0.5, zstd;q=0", Some(Gzip)),
            ("identity", None),
            ("deflate, br", None),
            ("gzip;q=0", None),
            ("gzip;q=nonsense", None),
            ("", None),
        ] {
            let name = header::ACCEPT_ENCODING;
            let request = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(Encoding::preferred(&request), expected, "{value}");
        }
        assert_eq!(Encoding::preferred(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn each_is_compressed_once_and_the_oldest_go() {
        let compressor = Compressor::new();
        let path = |index| TilePath::Entries { index, width: 256 };
        let bytes = Bytes::from(vec![7; 100_000]);
        let gzip = Encoding::Gzip;
        let first = compressor.compressed(path(0), gzip, &bytes).await.unwrap();
        assert!(first.len() < 1000);
        // Bytes that are not looked at: it is there.
        let kept = compressor.compressed(path(0), gzip, &Bytes::new()).await;
        assert_eq!(kept.as_ref(), Some(&first));
        // While one is being compressed, others are told as they are.
        let busy = compressor.worker.try_acquire().unwrap();
        assert_eq!(compressor.compressed(path(1), gzip, &bytes).await, None);
        drop(busy);
        for index in 1..=17 {
            compressor.keep((path(index), gzip), Bytes::from(vec![0; 1 << 20]));
        }
        assert_eq!(compressor.find((path(0), gzip)), None);
        assert!(compressor.find((path(17), gzip)).is_some());
        assert!(compressor.kept().size <= MAX_KEPT);
    }
}
