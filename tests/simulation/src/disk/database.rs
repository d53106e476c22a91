//! The database file.

use std::io;

use waxseal_store_embedded::StorageBackend;

use super::Disk;

/// One file of a disk, as redb's storage.
#[derive(Debug)]
pub struct DiskDatabase {
    disk: Disk,
    file: u64,
}

impl DiskDatabase {
    /// Opens a file, and makes it, durable and empty, if it is not there.
    ///
    /// # Errors
    /// The disk is down.
    pub fn open(disk: &Disk, path: &str) -> io::Result<Self> {
        let found = disk.look(|state| Ok(state.file(path).ok()))?;
        let file = match found {
            Some(file) => file,
            None => disk.change(|state| {
                let file = state.make_file(path)?;
                state.sync_names("");
                Ok(file)
            })?,
        };
        Ok(Self {
            disk: disk.clone(),
            file,
        })
    }
}

fn size(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

impl StorageBackend for DiskDatabase {
    fn len(&self) -> io::Result<u64> {
        let length = self
            .disk
            .look(|state| Ok(state.content(self.file)?.current.len()))?;
        u64::try_from(length).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = size(offset)?;
        let end = start + out.len();
        self.disk.look(|state| {
            let bytes = state.content(self.file)?.current.get(start..end);
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = size(length)?;
        self.disk.change(|state| {
            state.content_mut(self.file)?.set_len(length);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change(|state| {
            state.content_mut(self.file)?.sync();
            Ok(())
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = size(offset)?;
        self.disk.change(|state| {
            state.content_mut(self.file)?.write(offset, bytes);
            Ok(())
        })
    }
}
