//! No parser of foreign bytes panics, loops or hoards, whatever it is given (K-12, V-45, V-50): every
//! one of them reads mutations of good input, 3,000 from a fixed seed, and for a minute each where
//! `WAXSEAL_SOAK` is set.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may panic, and needs no documentation"
)]

use std::time::{Duration, Instant};

use waxseal_tests_conformance::doors::{DOORS, Door, door};

/// SplitMix64: good enough to mutate with, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(self.roll() % bound).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] =
            b"\x00\x01\x02\x06\x1f\x30\x31\x7f\x80\x81\x82\x84\xa0\xa3\xff\"\\{}[],:0-9e.\n\t u";
        if self.roll().is_multiple_of(3) {
            TELLING[self.below(TELLING.len())]
        } else {
            self.roll().to_le_bytes()[0]
        }
    }
}

/// One to four changes: bytes set, cut, put in, a run said twice, a piece of another input.
fn mutated(dice: &mut Dice, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let start = dice.below(bytes.len() + 1);
        let end = (start + dice.below(40)).min(bytes.len());
        match dice.below(7) {
            0 | 1 if start < bytes.len() => bytes[start] = dice.byte(),
            2 => drop(bytes.drain(start..end)),
            3 => {
                let count = dice.below(8);
                let fresh: Vec<u8> = (0..count).map(|_| dice.byte()).collect();
                drop(bytes.splice(start..start, fresh));
            }
            4 => {
                let run = bytes[start..end].to_vec();
                drop(bytes.splice(end..end, run));
            }
            5 => {
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(200)).min(other.len());
                drop(bytes.splice(start..end, other[from..to].iter().copied()));
            }
            _ => bytes.truncate(start.max(bytes.len() / 2)),
        }
    }
    bytes
}

/// Reads mutations of the seeds, none of which may take long.
fn knock(name: &str) {
    let Door { seeds, read, .. } = door(name);
    let seeds = seeds();
    #[expect(
        clippy::disallowed_methods,
        reason = "the length of the test is told by the environment"
    )]
    let soak = std::env::var_os("WAXSEAL_SOAK").is_some();
    let begin = Instant::now();
    let mut dice = Dice(20_261_125);
    for seed in &seeds {
        read(seed);
    }
    for count in 0_u64.. {
        let enough = if soak {
            begin.elapsed() >= Duration::from_mins(1)
        } else {
            count >= 3000
        };
        if enough {
            return;
        }
        let seed = &seeds[dice.below(seeds.len())];
        let other = &seeds[dice.below(seeds.len())];
        let bytes = mutated(&mut dice, seed, other);
        let started = Instant::now();
        read(&bytes);
        assert!(started.elapsed() < Duration::from_secs(2), "{bytes:02x?}");
    }
}

/// One test a door, so that they run beside each other.
macro_rules! doors {
    ($($name:ident)*) => {
        $(#[test] fn $name() { knock(stringify!($name)); })*

        #[test]
        fn every_door_is_tried() {
            let tried = [$(stringify!($name)),*];
            let all: Vec<_> = DOORS.iter().map(|door| door.name).collect();
            assert_eq!(all, tried);
        }
    };
}

doors!(
    bundle
    bundle_parts
    trusted_root
    signing_config
    entry_body
    statement
    certificate
    timestamp
    sct
    key
    note
    witness_policy
    tile
    log_request
    authority_request
    token
    issuer_keys
    tile_files
    platform
    log_submission
    grpc
);
