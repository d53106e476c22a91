//! Fuzzes the door `tile_files` of `tests/conformance/src/doors.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (waxseal_tests_conformance::doors::door("tile_files").read)(bytes);
});
