//! The disk forgets what it may forget, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use waxseal_store_embedded::FileTree;

use super::*;

fn after(disk: &Disk, loss: Loss, seed: u64) -> DiskTree {
    DiskTree::open(&disk.after_crash(loss, &mut Chance::new(seed)), "t").unwrap()
}

#[test]
fn what_was_synced_stays() {
    let disk = Disk::new();
    let tree = DiskTree::open(&disk, "t").unwrap();
    tree.make_folder("a/b").unwrap();
    tree.write_new("a/b/c", b"bytes").unwrap();
    for loss in [Loss::Everything, Loss::Some, Loss::Nothing] {
        let kept = after(&disk, loss, 1).read("a/b/c").unwrap();
        assert_eq!(kept.is_some(), loss == Loss::Nothing, "{loss:?}");
    }
    tree.sync_file("a/b/c").unwrap();
    tree.sync_folder("a/b").unwrap();
    assert_eq!(
        after(&disk, Loss::Everything, 1).read("a/b/c").unwrap(),
        None
    );
    tree.sync_folder("a").unwrap();
    tree.sync_folder("").unwrap();
    for seed in 0..20 {
        let kept = after(&disk, Loss::Some, seed).read("a/b/c").unwrap();
        assert_eq!(kept.as_deref(), Some(&b"bytes"[..]));
    }
}

#[test]
fn writes_are_torn() {
    let disk = Disk::new();
    let tree = DiskTree::open(&disk, "t").unwrap();
    tree.write_new("f", &[1; 4096]).unwrap();
    tree.sync_folder("").unwrap();
    let kinds: std::collections::BTreeSet<usize> = (0..50)
        .map(|seed| {
            let left = after(&disk, Loss::Some, seed).read("f").unwrap().unwrap();
            left.iter().filter(|byte| **byte == 1).count()
        })
        .collect();
    assert!(kinds.contains(&0) && kinds.contains(&4096), "{kinds:?}");
    assert!(kinds.len() > 4 && kinds.iter().all(|kept| kept % SECTOR == 0));
}

#[test]
fn the_struck_call_is_the_last() {
    let check = |strike, is_there: bool, goes_on: bool| {
        let disk = Disk::new();
        drop(DiskTree::open(&disk, "t").unwrap());
        let struck = disk.copy();
        let tree = DiskTree::open(&struck, "t").unwrap();
        struck.strike(1, strike);
        assert!(tree.make_folder("a").is_err());
        assert_eq!(struck.is_down(), !goes_on);
        assert_eq!(tree.write_new("b", b"").is_ok(), goes_on);
        let state = after(&struck, Loss::Nothing, 0);
        assert_eq!(state.sync_folder("a").is_ok(), is_there);
    };
    check(Strike::Before, false, false);
    check(Strike::After, true, false);
    check(Strike::Fail, false, true);
}
