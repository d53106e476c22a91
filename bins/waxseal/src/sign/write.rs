//! Where a bundle goes: whole or not at all, readable by everybody, and never over another.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::args::BundleArgs;
use crate::outcome::{Class, Failure};

/// A bundle's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    path: PathBuf,
    replace: bool,
}

impl Target {
    /// A place for each file's bundle. All of them are looked at before anything is signed.
    ///
    /// # Errors
    /// [`Class::Usage`] if one bundle is said for several files; [`Class::Refused`] if one exists.
    pub(crate) fn of_files(files: &[PathBuf], args: &BundleArgs) -> Result<Vec<Self>, Failure> {
        if args.bundle.is_some() && files.len() > 1 {
            return Err(Failure::usage(
                "--bundle is of one file, and there are several",
            ));
        }
        let targets: Vec<Self> = files.iter().map(|file| Self::beside(file, args)).collect();
        for (index, target) in targets.iter().enumerate() {
            target.check()?;
            if targets
                .iter()
                .take(index)
                .any(|other| other.path == target.path)
            {
                let message = format!("{} is said twice", target.path.display());
                return Err(Failure::usage(message));
            }
        }
        Ok(targets)
    }

    fn beside(file: &Path, args: &BundleArgs) -> Self {
        let path = args.bundle.clone().unwrap_or_else(|| {
            let mut name = file.to_owned().into_os_string();
            name.push(".sigstore.json");
            PathBuf::from(name)
        });
        Self {
            path,
            replace: args.force,
        }
    }

    fn check(&self) -> Result<(), Failure> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) if found.is_dir() => Err(Failure::usage(format!(
                "{} is a directory",
                self.path.display()
            ))),
            Ok(_) if !self.replace => Err(self.exists()),
            _ => Ok(()),
        }
    }

    fn exists(&self) -> Failure {
        let message = format!("{} exists, and is kept", self.path.display());
        Failure::new(Class::Refused, "bundle-exists", message).hint("--force replaces it")
    }

    /// Writes a bundle: into a file of another name, which takes its place when it is whole and on
    /// disk.
    ///
    /// # Errors
    /// [`Class::Refused`] if a file has appeared there, [`Class::Internal`] if it cannot be written.
    pub(crate) fn write(&self, json: &str) -> Result<(), Failure> {
        let unwritable = |error: std::io::Error| {
            let message = format!("the bundle {} cannot be written", self.path.display());
            Failure::new(Class::Internal, "bundle-unwritable", message).because(&error)
        };
        let temporary = self.temporary();
        let written = write_whole(&temporary, json).and_then(|()| self.publish(&temporary));
        if written.is_err() {
            drop(std::fs::remove_file(&temporary));
        }
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(self.exists()),
            written => written.map_err(unwritable),
        }
    }

    /// A name beside the target's that no other process of ours uses.
    fn temporary(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        PathBuf::from(name)
    }

    /// A link fails where something exists, a rename replaces it.
    fn publish(&self, temporary: &Path) -> std::io::Result<()> {
        if self.replace {
            std::fs::rename(temporary, &self.path)?;
        } else {
            std::fs::hard_link(temporary, &self.path)?;
            std::fs::remove_file(temporary)?;
        }
        let folder = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

fn write_whole(path: &Path, json: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o644);
    }
    let mut file = options.open(path)?;
    file.write_all(json.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(folder: &Path, replace: bool) -> Target {
        Target {
            path: folder.join("a.sigstore.json"),
            replace,
        }
    }

    #[test]
    fn a_bundle_is_written_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        target(folder.path(), false).write("{}").unwrap();
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["a.sigstore.json"]);
        assert_eq!(
            std::fs::read_to_string(folder.path().join("a.sigstore.json")).unwrap(),
            "{}\n"
        );
    }

    #[test]
    fn a_bundle_that_exists_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sigstore.json");
        let old = "old";
        std::fs::write(&path, old).unwrap();
        assert_eq!(
            target(folder.path(), false).write("{}").unwrap_err().class,
            Class::Refused
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), old);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        target(folder.path(), true).write("{}").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
    }

    #[test]
    fn places_are_looked_at_before_anything_is_signed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        let check = |files: &[PathBuf], args: &BundleArgs, expected: Option<Class>| {
            let found = Target::of_files(files, args)
                .err()
                .map(|failure| failure.class);
            assert_eq!(found, expected);
        };
        let said = BundleArgs {
            bundle: Some(folder.path().join("b")),
            force: false,
        };
        check(std::slice::from_ref(&file), &BundleArgs::default(), None);
        check(
            &[file.clone(), file.clone()],
            &BundleArgs::default(),
            Some(Class::Usage),
        );
        check(
            &[file.clone(), folder.path().join("c")],
            &said,
            Some(Class::Usage),
        );
        std::fs::write(folder.path().join("b"), "").unwrap();
        check(std::slice::from_ref(&file), &said, Some(Class::Refused));
        check(
            &[file],
            &BundleArgs {
                force: true,
                ..said
            },
            None,
        );
    }
}
