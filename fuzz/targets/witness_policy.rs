//! Fuzzes the door `witness_policy` of `tests/conformance/src/doors.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (waxseal_tests_conformance::doors::door("witness_policy").read)(bytes);
});
