//! The contract of an object store, and that of its directory.

use std::fs;

use super::*;

fn now<T>(future: BoxFuture<'_, T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn entries(index: u64, width: u16) -> ObjectName {
    ObjectName::Tile(TilePath::Entries { index, width })
}

fn objects(folder: &tempfile::TempDir) -> LogObjects {
    LogObjects::open(&folder.path().join("tiles")).unwrap()
}

#[test]
fn objects_lie_where_the_specification_says() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(&folder);
    let tile = TilePath::parse("tile/1/x001/x234/067").unwrap();
    let named = [
        (entries(0, 3), "tile/entries/000.p/3"),
        (ObjectName::Tile(tile), "tile/1/x001/x234/067"),
        (
            ObjectName::Issuer([0xab; 32]),
            &*format!("issuer/{}", "ab".repeat(32)),
        ),
    ];
    let all = named
        .map(|(name, path)| (name, path.as_bytes().to_vec()))
        .to_vec();
    now(objects.create(all)).unwrap();
    for (name, path) in named {
        let file = folder.path().join("tiles").join(path);
        assert_eq!(fs::read(file).unwrap(), path.as_bytes());
        assert_eq!(
            now(objects.read(name)).unwrap(),
            Some(path.as_bytes().to_vec())
        );
    }
    assert_eq!(now(objects.read(entries(0, 4))).unwrap(), None);
    // Nothing is left of the making.
    assert_eq!(
        fs::read_dir(folder.path().join("tiles").join(STAGING))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn i4_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(&folder);
    let name = entries(0, 256);
    now(objects.create(vec![(name, b"one".to_vec())])).unwrap();
    now(objects.create(vec![(name, b"one".to_vec())])).unwrap();
    let other = now(objects.create(vec![(name, b"other".to_vec())]));
    assert!(matches!(other, Err(ObjectsError::Conflict { name: found }) if found == name));
    assert_eq!(now(objects.read(name)).unwrap(), Some(b"one".to_vec()));
}

#[test]
fn the_checkpoint_is_replaced_only_if_it_is_the_expected_one() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(&folder);
    now(objects.replace_checkpoint(None, b"one")).unwrap();
    for old in [None, Some(&b"two"[..])] {
        let replaced = now(objects.replace_checkpoint(old, b"three"));
        assert!(matches!(replaced, Err(ObjectsError::Conflict { .. })));
    }
    now(objects.replace_checkpoint(Some(b"one"), b"two")).unwrap();
    assert_eq!(
        now(objects.read(ObjectName::Checkpoint)).unwrap(),
        Some(b"two".to_vec())
    );
}

#[test]
fn partial_versions_are_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(&folder);
    let all = [
        entries(0, 3),
        entries(0, 200),
        entries(1, 3),
        entries(0, 256),
    ];
    now(objects.create(all.map(|name| (name, b"x".to_vec())).to_vec())).unwrap();
    let full = TilePath::Entries {
        index: 0,
        width: 256,
    };
    now(objects.discard_partials(full)).unwrap();
    now(objects.discard_partials(full)).unwrap();
    let left = all.map(|name| now(objects.read(name)).unwrap().is_some());
    assert_eq!(left, [false, false, true, true]);
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let first = objects(&folder);
    let staged = first.stage(b"half").unwrap();
    let staged = folder.path().join("tiles").join(staged);
    assert!(staged.exists());
    let second = objects(&folder);
    assert!(!staged.exists());
    now(second.create(vec![(entries(0, 1), b"x".to_vec())])).unwrap();
}

#[cfg(unix)]
#[test]
fn s_53_symbolic_links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(&folder);
    let link = folder.path().join("tiles/tile/entries/000");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(matches!(
        now(objects.read(entries(0, 256))),
        Err(ObjectsError::Failed { .. })
    ));
    let created = now(objects.create(vec![(entries(0, 256), b"x".to_vec())]));
    assert!(created.is_err());
}

#[test]
fn failed_writes_are_failures() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(&folder);
    // A file where a folder should be.
    fs::write(folder.path().join("tiles/tile"), b"").unwrap();
    let created = now(objects.create(vec![(entries(0, 1), b"x".to_vec())]));
    assert!(matches!(created, Err(ObjectsError::Failed { .. })));
}

/// A disk that takes only so many bytes of a file, or no name beside another.
#[derive(Debug)]
struct FullDisk(DirectoryTree);

impl FileTree for FullDisk {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(path)
    }
    fn write_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.write_new(path, bytes.get(..4).unwrap_or(bytes))?;
        match bytes.len() {
            ..=4 => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.link(from, to)
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }
    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.0.make_folder(path)
    }
    fn remove_folder(&self, path: &str) -> io::Result<()> {
        self.0.remove_folder(path)
    }
    fn sync_file(&self, path: &str) -> io::Result<()> {
        self.0.sync_file(path)
    }
    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.0.sync_folder(path)
    }
}

/// Sealing is tried again every second: on a full disk the files of each try would take what is
/// left of it, and of its inodes, from the ledger.
#[test]
fn a_full_disk_does_not_fill_up_with_what_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tiles");
    let tree = FullDisk(DirectoryTree::open(&root).unwrap());
    let objects = LogObjects::with_tree(Arc::new(tree)).unwrap();
    for _ in 0..3 {
        let created = now(objects.create(vec![(entries(0, 1), b"too long".to_vec())]));
        assert!(matches!(created, Err(ObjectsError::Failed { .. })));
        let replaced = now(objects.replace_checkpoint(None, b"new"));
        assert!(matches!(replaced, Err(ObjectsError::Failed { .. })));
    }
    let left: Vec<_> = fs::read_dir(root.join(STAGING)).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
