//! Where a log is read: from the server, or from the directory that it leaves behind.

use std::path::PathBuf;

use waxseal_tlog::{Tile, TilePath};

use crate::{Connection, Outcome, text};

/// Reads the files of a log by their paths below its root.
pub trait Source {
    /// The bytes of `checkpoint` or of a tile; `None` if it is not there.
    fn read(&mut self, path: &str) -> impl Future<Output = Outcome<Option<Vec<u8>>>>;

    /// The checkpoint, unopened.
    fn checkpoint(&mut self) -> impl Future<Output = Outcome<Option<String>>> {
        async {
            let bytes = self.read("checkpoint").await?;
            bytes.map(String::from_utf8).transpose().map_err(text)
        }
    }

    /// A tile that some checkpoint implies. A partial one may be gone once it is full; the full
    /// one holds it then (c2sp.org/tlog-tiles).
    fn tile(&mut self, path: TilePath) -> impl Future<Output = Outcome<Vec<u8>>> {
        async move {
            if let Some(bytes) = self.read(&path.to_string()).await? {
                return Ok(bytes);
            }
            let full = match path {
                TilePath::Tile(tile) => TilePath::Tile(tile.full()),
                TilePath::Entries { index, .. } => TilePath::Entries { index, width: 256 },
                other => other,
            };
            let bytes = self.read(&full.to_string()).await?;
            let bytes = bytes.ok_or_else(|| format!("{path} is not there, nor is {full}"))?;
            let mut bytes = bytes;
            match path {
                TilePath::Tile(tile) => bytes.truncate(usize::from(tile.width()) * 32),
                TilePath::Entries { width, .. } => bytes.truncate(entries_end(&bytes, width)),
                _ => {}
            }
            Ok(bytes)
        }
    }

    /// A hash tile.
    fn hashes(&mut self, tile: Tile) -> impl Future<Output = Outcome<Vec<u8>>> {
        self.tile(TilePath::Tile(tile))
    }
}

/// Where the first entries of a bundle end: each is a length of two bytes, and that many more.
fn entries_end(bundle: &[u8], width: u16) -> usize {
    let mut at = 0;
    for _ in 0..width {
        let length = bundle.get(at..at + 2).and_then(|two| two.try_into().ok());
        at += 2 + length.map_or(0, |two| usize::from(u16::from_be_bytes(two)));
    }
    at
}

/// The server's routes.
#[derive(Debug)]
pub struct Server(pub Connection);

impl Server {
    /// The server on a port of loopback.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(port: u16) -> Outcome<Self> {
        Connection::open(port).await.map(Self).map_err(text)
    }
}

impl Source for Server {
    async fn read(&mut self, path: &str) -> Outcome<Option<Vec<u8>>> {
        let answer = self.0.get(&format!("/{path}")).await;
        let answer = answer.map_err(|error| format!("{path}: {error}"))?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            status => Err(format!("{path}: {status} {}", answer.text())),
        }
    }
}

/// A directory of tiles, without any server.
#[derive(Debug)]
pub struct Directory(pub PathBuf);

impl Source for Directory {
    async fn read(&mut self, path: &str) -> Outcome<Option<Vec<u8>>> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{path}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entries_of_a_bundle() {
        let check = |bundle: &[u8], width, end| assert_eq!(entries_end(bundle, width), end);
        check(&[0, 1, 7, 0, 0, 0, 2, 1, 2], 0, 0);
        check(&[0, 1, 7, 0, 0, 0, 2, 1, 2], 2, 5);
        check(&[0, 1, 7, 0, 0, 0, 2, 1, 2], 3, 9);
    }
}
