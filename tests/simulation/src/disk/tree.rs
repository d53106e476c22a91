//! The tree of the objects.

use std::io;

use waxseal_store_embedded::FileTree;

use super::{Disk, Node, missing};
use crate::{Outcome, Source};

/// A tree of files of a disk, below one folder.
#[derive(Debug, Clone)]
pub struct DiskTree {
    disk: Disk,
    root: &'static str,
}

impl DiskTree {
    /// Opens a tree, and makes its root, durable, if it is not there.
    ///
    /// # Errors
    /// The disk is down.
    pub fn open(disk: &Disk, root: &'static str) -> io::Result<Self> {
        let is_there = disk.look(|state| Ok(state.names.contains_key(root)))?;
        if !is_there {
            disk.change(|state| {
                state.names.insert(root.to_owned(), Node::Folder);
                state.sync_names("");
                Ok(())
            })?;
        }
        let disk = disk.clone();
        Ok(Self { disk, root })
    }

    fn at(&self, path: &str) -> String {
        if path.is_empty() {
            self.root.to_owned()
        } else {
            format!("{}/{path}", self.root)
        }
    }
}

impl FileTree for DiskTree {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.at(path);
        self.disk.look(|state| match state.names.get(&path) {
            None => Ok(None),
            Some(Node::Folder) => Err(io::Error::other("not a regular file")),
            Some(Node::File(file)) => Ok(Some(state.content(*file)?.current.to_vec())),
        })
    }

    fn write_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk.change(|state| state.make_file(&self.at(path)))?;
        self.disk.change(|state| {
            state.content_mut(file)?.write(0, bytes);
            Ok(())
        })
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        self.disk.change(|state| {
            let file = state.file(&from)?;
            if state.names.contains_key(&to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.names.insert(to, Node::File(file));
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        self.disk.change(|state| {
            let file = state.file(&from)?;
            state.names.remove(&from);
            state.names.insert(to, Node::File(file));
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.at(path);
        self.disk.change(|state| {
            state.file(&path)?;
            state.names.remove(&path);
            Ok(())
        })
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        let mut folder = String::new();
        for part in path.split('/') {
            if !folder.is_empty() {
                folder.push('/');
            }
            folder.push_str(part);
            let at = self.at(&folder);
            let found = self.disk.look(|state| Ok(state.names.get(&at).copied()))?;
            match found {
                Some(Node::Folder) => continue,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {}
            }
            self.disk.change(|state| {
                state.names.insert(at, Node::Folder);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        let folder = self.at(path);
        let below = format!("{folder}/");
        let all = self.disk.look(|state| {
            let names = state.names.keys();
            let names = names.filter(|name| **name == folder || name.starts_with(&below));
            Ok(names.cloned().collect::<Vec<_>>())
        })?;
        // From the leaves up, one after another: a crash may come between.
        for name in all.into_iter().rev() {
            self.disk.change(|state| {
                state.names.remove(&name);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn sync_file(&self, path: &str) -> io::Result<()> {
        let path = self.at(path);
        self.disk.change(|state| {
            let file = state.file(&path)?;
            state.content_mut(file)?.sync();
            Ok(())
        })
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        let path = self.at(path);
        self.disk.change(|state| {
            if state.names.get(&path) != Some(&Node::Folder) {
                return Err(missing(&path));
            }
            state.sync_names(&path);
            Ok(())
        })
    }
}

/// A reader who has no server.
impl Source for DiskTree {
    async fn read(&mut self, path: &str) -> Outcome<Option<Vec<u8>>> {
        FileTree::read(self, path).map_err(|error| error.to_string())
    }
}
