//! `seeds DIRECTORY`: writes the good input of every door, a directory each, for the targets under
//! `fuzz/` to begin from.

use std::path::PathBuf;
use std::{env, fs, io};

use waxseal_tests_conformance::doors::DOORS;

fn main() -> io::Result<()> {
    let Some(root) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: seeds DIRECTORY"));
    };
    for door in DOORS {
        let folder = root.join(door.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (door.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
