//! Every refusal of a data directory, and what is left when a write is cut short.
#![cfg(unix)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A fresh data directory with one key, not locked.
fn made() -> (tempfile::TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("data");
    let data = DataDir::open(&root).unwrap();
    data.create(Part::Keys, "log.pem", b"secret").unwrap();
    (outside, root)
}

#[test]
fn files_are_for_their_owner_alone() {
    let (_outside, root) = made();
    let data = DataDir::open(&root).unwrap();
    data.replace(Part::Client, "trusted_root.json", b"{}")
        .unwrap();
    for directory in ["", "keys", "client"] {
        assert_eq!(mode(&root.join(directory)), 0o700, "{directory}");
    }
    for file in ["lock", "keys/log.pem"] {
        assert_eq!(mode(&root.join(file)), 0o600, "{file}");
    }
    assert_eq!(
        **data.read(Part::Keys, "log.pem").unwrap().unwrap(),
        *b"secret"
    );
    assert!(data.read(Part::Keys, "none.pem").unwrap().is_none());
}

#[test]
fn s_59_symlink() {
    let refused = |result: Result<DataDir, DataError>, what: &str| {
        assert!(matches!(result, Err(DataError::Symlink { .. })), "{what}");
    };
    let (outside, root) = made();
    let link = outside.path().join("link");
    symlink(&root, &link).unwrap();
    refused(DataDir::open(&link), "the directory");
    refused(DataDir::open(&link.join("")), "with a slash at its end");

    let key = root.join("keys/log.pem");
    fs::rename(&key, outside.path().join("elsewhere")).unwrap();
    symlink(outside.path().join("elsewhere"), &key).unwrap();
    refused(DataDir::open(&root), "a key");
    fs::remove_file(&key).unwrap();

    fs::remove_file(root.join("lock")).unwrap();
    symlink(outside.path().join("elsewhere"), root.join("lock")).unwrap();
    refused(DataDir::open(&root), "the lock");
    assert_eq!(
        fs::read(outside.path().join("elsewhere")).unwrap(),
        b"secret"
    );
    fs::remove_file(root.join("lock")).unwrap();

    let data = DataDir::open(&root).unwrap();
    symlink(outside.path().join("elsewhere"), &key).unwrap();
    assert!(matches!(
        data.read(Part::Keys, "log.pem"),
        Err(DataError::Symlink { .. })
    ));
    assert!(matches!(
        data.create(Part::Keys, "log.pem", b"x"),
        Err(DataError::Exists { .. })
    ));
    drop(data);
    fs::remove_file(&key).unwrap();
    symlink(outside.path(), root.join("client")).unwrap();
    refused(DataDir::open(&root), "a part");
}

#[test]
fn wrong_kind() {
    let (outside, root) = made();
    let file = outside.path().join("file");
    fs::write(&file, "").unwrap();
    chmod(&file, 0o600);
    assert!(matches!(
        DataDir::open(&file),
        Err(DataError::WrongKind {
            expected: "directory",
            ..
        })
    ));
    fs::create_dir(root.join("keys/ct.pem")).unwrap();
    chmod(&root.join("keys/ct.pem"), 0o700);
    assert!(matches!(
        DataDir::open(&root),
        Err(DataError::WrongKind {
            expected: "regular file",
            ..
        })
    ));
}

#[test]
fn foreign_owner() {
    let path = Path::new("data");
    let check = |owner, good: bool| {
        let judged = access::judge_owner(path, (owner, 0o100_600), 1000, true);
        match judged {
            Ok(()) => assert!(good),
            Err(DataError::ForeignOwner {
                owner: found, user, ..
            }) => {
                assert!(!good);
                assert_eq!((found, user), (owner, 1000));
            }
            Err(other) => panic!("{other}"),
        }
    };
    check(1000, true);
    check(0, false);
    check(1001, false);
}

#[test]
fn foreign_owner_of_a_real_key() {
    // Only root can give files away.
    if rustix::process::geteuid().as_raw() != 0 {
        return;
    }
    for what in ["", "keys", "keys/log.pem"] {
        let (_outside, root) = made();
        std::os::unix::fs::chown(root.join(what), Some(12_345), None).unwrap();
        let refused = DataDir::open(&root);
        assert!(
            matches!(
                refused,
                Err(DataError::ForeignOwner {
                    owner: 12_345,
                    user: 0,
                    ..
                })
            ),
            "{what}: {refused:?}"
        );
    }
}

#[test]
fn s_64_open_to_others() {
    let (_outside, root) = made();
    let check = |what: &str, mode, good: bool| {
        let path = root.join(what);
        let before = fs::metadata(&path).unwrap().mode() & 0o7777;
        chmod(&path, mode);
        let opened = DataDir::open(&root);
        match &opened {
            Ok(_) => assert!(good, "{what} {mode:o}"),
            Err(DataError::OpenToOthers { mode: found, .. }) => {
                assert!(!good, "{what} {mode:o}");
                assert_eq!(*found, mode);
            }
            Err(other) => panic!("{what} {mode:o}: {other}"),
        }
        chmod(&path, before);
    };
    for (mode, good) in [
        (0o700, true),
        (0o750, false),
        (0o701, false),
        (0o720, false),
    ] {
        check("", mode, good);
        check("keys", mode, good);
    }
    for (mode, good) in [
        (0o600, true),
        (0o400, true),
        (0o640, false),
        (0o604, false),
        (0o602, false),
    ] {
        check("keys/log.pem", mode, good);
    }
    check("lock", 0o644, false);
    let message = DataError::OpenToOthers {
        path: "data".into(),
        mode: 0o755,
    }
    .to_string();
    assert!(message.contains("chmod go-rwx data"), "{message}");
}

#[test]
fn in_use() {
    let (_outside, root) = made();
    let first = DataDir::open(&root).unwrap();
    let refused = DataDir::open(&root).unwrap_err();
    let us = std::process::id().to_string();
    assert!(
        matches!(&refused, DataError::InUse { holder, .. } if *holder == us),
        "{refused}"
    );
    drop(first);
    DataDir::open(&root).unwrap();
}

#[test]
fn not_an_instance() {
    let outside = tempfile::tempdir().unwrap();
    chmod(outside.path(), 0o700);
    fs::write(outside.path().join("thesis.tex"), "years of work").unwrap();
    let refused = DataDir::open(outside.path()).unwrap_err();
    assert!(matches!(&refused, DataError::NotAnInstance { found, .. } if found == "thesis.tex"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    // What the operator puts there before the first start is no stranger.
    fs::rename(
        outside.path().join("thesis.tex"),
        outside.path().join(CONFIG_FILE),
    )
    .unwrap();
    DataDir::open(outside.path()).unwrap();
}

#[test]
fn exists() {
    let (_outside, root) = made();
    let data = DataDir::open(&root).unwrap();
    assert!(matches!(
        data.create(Part::Keys, "log.pem", b"other"),
        Err(DataError::Exists { .. })
    ));
    assert_eq!(
        **data.read(Part::Keys, "log.pem").unwrap().unwrap(),
        *b"secret"
    );
}

#[test]
fn too_large() {
    let (_outside, root) = made();
    let data = DataDir::open(&root).unwrap();
    let limit = usize::try_from(MAX_FILE).unwrap();
    data.create(Part::Keys, "full.pem", &vec![b'x'; limit])
        .unwrap();
    assert!(data.read(Part::Keys, "full.pem").unwrap().is_some());
    data.create(Part::Keys, "over.pem", &vec![b'x'; limit + 1])
        .unwrap();
    assert!(matches!(
        data.read(Part::Keys, "over.pem"),
        Err(DataError::TooLarge { .. })
    ));
}

#[test]
fn io() {
    let (outside, _root) = made();
    let file = outside.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        DataDir::open(&file.join("data")),
        Err(DataError::Io { .. })
    ));
}

#[test]
fn a_write_that_was_cut_short_is_made_again() {
    let (_outside, root) = made();
    fs::write(root.join("keys/.ct.pem.draft"), "half a k").unwrap();
    chmod(&root.join("keys/.ct.pem.draft"), 0o600);
    let data = DataDir::open(&root).unwrap();
    assert!(data.read(Part::Keys, "ct.pem").unwrap().is_none());
    data.create(Part::Keys, "ct.pem", b"whole").unwrap();
    assert_eq!(
        **data.read(Part::Keys, "ct.pem").unwrap().unwrap(),
        *b"whole"
    );
    assert!(!root.join("keys/.ct.pem.draft").exists());
}

#[test]
fn replacing_with_the_same_bytes_writes_nothing() {
    let (_outside, root) = made();
    let data = DataDir::open(&root).unwrap();
    data.replace(Part::Client, "trusted_root.json", b"{}")
        .unwrap();
    let path = root.join("client/trusted_root.json");
    let before = fs::metadata(&path).unwrap().ino();
    data.replace(Part::Client, "trusted_root.json", b"{}")
        .unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
    data.replace(Part::Client, "trusted_root.json", b"{ }")
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"{ }");
}
