//! Paths of tiles and entry bundles: typed, and re-encoded before they are believed (S-24, S-53).

use std::fmt;

use crate::{TILE_WIDTH, Tile, TileError};

/// Longest path that can be canonical: `tile/entries/` and 2^64 − 1 in seven groups, `.p/255`.
const MAX_PATH_BYTES: usize = 64;

/// A resource below `tile/` (c2sp.org/tlog-tiles, c2sp.org/static-ct-api).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`
    Tile(Tile),
    /// `tile/entries/<N>[.p/<W>]`: a bundle of entries.
    Entries {
        /// Which 256 entries.
        index: u64,
        /// How many of them, 1 to 256.
        width: u16,
    },
    /// `tile/data/<N>[.p/<W>]`: a bundle of entries of a CT log.
    Data {
        /// Which 256 entries.
        index: u64,
        /// How many of them, 1 to 256.
        width: u16,
    },
}

/// Why a text is not the path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Not `tile/`, a kind or level, and a number in groups of three digits (tlog-tiles).
    #[error("malformed tile path")]
    Malformed,
    /// The path means a tile, but is not the one way to write it.
    #[error("the tile path is not in its canonical form")]
    NotCanonical,
    /// A level or width that no tile has.
    #[error(transparent)]
    Tile(#[from] TileError),
}

impl TilePath {
    /// Parses a path without a leading slash.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.len() > MAX_PATH_BYTES {
            return Err(PathError::Malformed);
        }
        let parsed = parse(path)?;
        // Only the path that we would have written ourselves is served.
        if parsed.to_string() == path {
            Ok(parsed)
        } else {
            Err(PathError::NotCanonical)
        }
    }
}

fn parse(path: &str) -> Result<TilePath, PathError> {
    let rest = path.strip_prefix("tile/").ok_or(PathError::Malformed)?;
    let (kind, number) = rest.split_once('/').ok_or(PathError::Malformed)?;
    let (number, width) = match number.split_once(".p/") {
        None => (number, TILE_WIDTH),
        Some((number, width)) => {
            let width = u16::try_from(decimal(width)?).map_err(|_| PathError::Malformed)?;
            // A full tile is not written as a partial one.
            if width == 0 || width >= TILE_WIDTH {
                return Err(TileError::WidthOutOfRange { width }.into());
            }
            (number, width)
        }
    };
    let index = grouped(number)?;
    match kind {
        "entries" => Ok(TilePath::Entries { index, width }),
        "data" => Ok(TilePath::Data { index, width }),
        level => {
            let level = decimal(level)?;
            let level = u8::try_from(level).map_err(|_| PathError::Malformed)?;
            Ok(TilePath::Tile(Tile::new(level, index, width)?))
        }
    }
}

/// `x001/x234/067` is 1234067.
fn grouped(text: &str) -> Result<u64, PathError> {
    let mut digits = String::new();
    let mut groups = text.split('/').peekable();
    while let Some(group) = groups.next() {
        let group = match groups.peek() {
            Some(_) => group.strip_prefix('x').ok_or(PathError::Malformed)?,
            None => group,
        };
        if group.len() != 3 {
            return Err(PathError::Malformed);
        }
        digits.push_str(group);
    }
    decimal(&digits)
}

fn decimal(text: &str) -> Result<u64, PathError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PathError::Malformed);
    }
    text.parse().map_err(|_| PathError::Malformed)
}

impl fmt::Display for TilePath {
    /// The path, without a leading slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Tile(tile) => {
                write!(f, "tile/{}/", tile.level())?;
                (tile.index(), tile.width())
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                (*index, *width)
            }
            Self::Data { index, width } => {
                f.write_str("tile/data/")?;
                (*index, *width)
            }
        };
        let mut groups = vec![index % 1000];
        let mut rest = index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups.iter().skip(1).rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", index % 1000)?;
        if width < TILE_WIDTH {
            write!(f, ".p/{width}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Result<TilePath, PathError>) {
        assert_eq!(TilePath::parse(path), expected, "{path}");
    }

    fn tile(level: u8, index: u64, width: u16) -> TilePath {
        TilePath::Tile(Tile::new(level, index, width).unwrap())
    }

    #[test]
    fn s_24_tile_paths() {
        for (path, expected) in [
            ("tile/0/000", tile(0, 0, 256)),
            ("tile/0/255", tile(0, 255, 256)),
            ("tile/0/256.p/1", tile(0, 256, 1)),
            ("tile/1/x001/000", tile(1, 1000, 256)),
            ("tile/0/x001/x234/067", tile(0, 1_234_067, 256)),
            (
                "tile/63/x001/x099/x511/x627/776.p/255",
                tile(63, 1 << 40, 255),
            ),
            (
                "tile/7/x018/x446/x744/x073/x709/x551/615",
                tile(7, u64::MAX, 256),
            ),
            (
                "tile/entries/x001/x234/067.p/17",
                TilePath::Entries {
                    index: 1_234_067,
                    width: 17,
                },
            ),
            (
                "tile/data/000",
                TilePath::Data {
                    index: 0,
                    width: 256,
                },
            ),
        ] {
            check(path, Ok(expected));
            assert_eq!(expected.to_string(), path);
        }
    }

    #[test]
    fn s_53_path_traversal() {
        for path in [
            "../../etc/passwd",
            "tile/../../etc/passwd",
            "tile/0/%2e%2e/000",
            "tile/0/%252e",
            "tile/0/..%5c000",
            "tile/0//000",
            "tile//0/000",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/x001/../000",
            "tile/0/00\0",
            "tile/0/000.p/",
            "tile/0/000.p/1/2",
            "tile/0/000.p/-1",
            "tile/0/000.p/+1",
            "tile/0/000.p/99999999999999999999",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/x1/000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/-1/000",
            "tile/+0/000",
            "tile/256/000",
            "tile/names/000",
            "tile/entries",
            "tile/entries/",
            "tile",
            "",
            "tile/0/٠٠٠",
        ] {
            check(path, Err(PathError::Malformed));
        }
        check(
            &format!("tile/0/{}000", "x000/".repeat(2000)),
            Err(PathError::Malformed),
        );
    }

    #[test]
    fn not_canonical() {
        for path in [
            "tile/0/x000/000",
            "tile/0/x000/x001/000",
            "tile/00/000",
            "tile/01/000",
            "tile/0/000.p/01",
        ] {
            check(path, Err(PathError::NotCanonical));
        }
    }

    #[test]
    fn tile_error() {
        let width = |width| Err(TileError::WidthOutOfRange { width }.into());
        check("tile/0/000.p/0", width(0));
        check("tile/0/000.p/256", width(256));
        check("tile/entries/000.p/257", width(257));
        check(
            "tile/64/000",
            Err(TileError::LevelOutOfRange { level: 64 }.into()),
        );
    }
}
