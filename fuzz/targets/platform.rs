//! Fuzzes the door `platform` of `tests/conformance/src/doors.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (waxseal_tests_conformance::doors::door("platform").read)(bytes);
});
