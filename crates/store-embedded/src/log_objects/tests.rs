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
