//! A process that forbids its core files, in a process of its own: nothing takes it back.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use rustix::process::{Resource, getrlimit};
use waxseal_serve::forbid_core_dumps;

/// Both: the limit holds for files, and the other for a program that `core_pattern` names.
#[test]
fn s_56_core_files_are_forbidden() {
    forbid_core_dumps().unwrap();
    let limit = getrlimit(Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    #[cfg(target_os = "linux")]
    assert_eq!(
        rustix::process::dumpable_behavior().unwrap(),
        rustix::process::DumpableBehavior::NotDumpable
    );
}
