//! No picture of a server's memory is left on a disk.

use std::io;

/// Forbids core files of this process, and other processes of its user to look into it: keys,
/// tokens and codes are in its memory (S-56). A server calls it before it reads its first secret.
/// Where the system is not Unix there is nothing to forbid.
///
/// # Errors
/// What the system says.
pub fn forbid_core_dumps() -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, none)?;
    }
    // A core that goes to a program, as `core_pattern` may say, does not ask for the limit.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
