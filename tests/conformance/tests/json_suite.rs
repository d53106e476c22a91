//! JSONTestSuite: 318 texts, of which 95 are JSON, 188 are not, and 35 may be read or not.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use waxseal_formats::json::{JsonError, Limits, parse};
use waxseal_tests_conformance::run;

/// Texts that are JSON, that are not, and that may be either.
const COUNTS: [(&str, usize); 3] = [("y_", 95), ("n_", 188), ("i_", 35)];

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    values: 1 << 16,
};

/// Which rule refuses a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Read,
    NotUtf8,
    LoneSurrogate,
    TooDeep,
    ByteOrderMark,
    DuplicateKey,
    Other,
}

/// What we do where the grammar leaves the choice, or where we are stricter than it (the two
/// `y_` texts whose objects have a key twice).
const PINNED: [(&str, Verdict); 37] = [
    ("i_number_double_huge_neg_exp.json", Verdict::Read),
    ("i_number_huge_exp.json", Verdict::Read),
    ("i_number_neg_int_huge_exp.json", Verdict::Read),
    ("i_number_pos_double_huge_exp.json", Verdict::Read),
    ("i_number_real_neg_overflow.json", Verdict::Read),
    ("i_number_real_pos_overflow.json", Verdict::Read),
    ("i_number_real_underflow.json", Verdict::Read),
    ("i_number_too_big_neg_int.json", Verdict::Read),
    ("i_number_too_big_pos_int.json", Verdict::Read),
    ("i_number_very_big_negative_int.json", Verdict::Read),
    (
        "i_object_key_lone_2nd_surrogate.json",
        Verdict::LoneSurrogate,
    ),
    (
        "i_string_1st_surrogate_but_2nd_missing.json",
        Verdict::LoneSurrogate,
    ),
    (
        "i_string_1st_valid_surrogate_2nd_invalid.json",
        Verdict::LoneSurrogate,
    ),
    ("i_string_UTF-16LE_with_BOM.json", Verdict::NotUtf8),
    ("i_string_UTF-8_invalid_sequence.json", Verdict::NotUtf8),
    ("i_string_UTF8_surrogate_U+D800.json", Verdict::NotUtf8),
    (
        "i_string_incomplete_surrogate_and_escape_valid.json",
        Verdict::LoneSurrogate,
    ),
    (
        "i_string_incomplete_surrogate_pair.json",
        Verdict::LoneSurrogate,
    ),
    (
        "i_string_incomplete_surrogates_escape_valid.json",
        Verdict::LoneSurrogate,
    ),
    (
        "i_string_invalid_lonely_surrogate.json",
        Verdict::LoneSurrogate,
    ),
    ("i_string_invalid_surrogate.json", Verdict::LoneSurrogate),
    ("i_string_invalid_utf-8.json", Verdict::NotUtf8),
    (
        "i_string_inverted_surrogates_U+1D11E.json",
        Verdict::LoneSurrogate,
    ),
    ("i_string_iso_latin_1.json", Verdict::NotUtf8),
    (
        "i_string_lone_second_surrogate.json",
        Verdict::LoneSurrogate,
    ),
    (
        "i_string_lone_utf8_continuation_byte.json",
        Verdict::NotUtf8,
    ),
    ("i_string_not_in_unicode_range.json", Verdict::NotUtf8),
    ("i_string_overlong_sequence_2_bytes.json", Verdict::NotUtf8),
    ("i_string_overlong_sequence_6_bytes.json", Verdict::NotUtf8),
    (
        "i_string_overlong_sequence_6_bytes_null.json",
        Verdict::NotUtf8,
    ),
    ("i_string_truncated-utf-8.json", Verdict::NotUtf8),
    ("i_string_utf16BE_no_BOM.json", Verdict::NotUtf8),
    ("i_string_utf16LE_no_BOM.json", Verdict::NotUtf8),
    ("i_structure_500_nested_arrays.json", Verdict::TooDeep),
    (
        "i_structure_UTF-8_BOM_empty_object.json",
        Verdict::ByteOrderMark,
    ),
    ("y_object_duplicated_key.json", Verdict::DuplicateKey),
    (
        "y_object_duplicated_key_and_value.json",
        Verdict::DuplicateKey,
    ),
];

fn main() -> ExitCode {
    // 318 texts, three counts of kinds
    run("json", 318 + 3, load)
}

fn load(folder: &Path) -> Vec<Trial> {
    let mut names: Vec<String> = std::fs::read_dir(folder.join("test_parsing"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut trials = Vec::new();
    for (kind, expected) in COUNTS {
        let found = names.iter().filter(|name| name.starts_with(kind)).count();
        trials.push(Trial::test(
            format!("{kind}: {expected} texts"),
            move || same(found, expected),
        ));
    }
    for name in names {
        let path = folder.join("test_parsing").join(&name);
        trials.push(Trial::test(name.clone(), move || {
            let verdict = verdict(&std::fs::read(path).unwrap());
            let pinned = PINNED.iter().find(|(pinned, _)| *pinned == name);
            match (pinned, name.get(..2)) {
                (Some((_, expected)), _) => same(verdict, *expected),
                (None, Some("y_")) => same(verdict, Verdict::Read),
                (None, Some("n_")) if verdict != Verdict::Read => Ok(()),
                (None, Some("n_")) => Err(Failed::from("read, but it is not JSON")),
                (None, _) => Err(Failed::from(format!("not pinned: {verdict:?}"))),
            }
        }));
    }
    trials
}

fn verdict(text: &[u8]) -> Verdict {
    match parse(text, LIMITS) {
        Ok(_) => Verdict::Read,
        Err(JsonError::NotUtf8 { .. }) => Verdict::NotUtf8,
        Err(JsonError::LoneSurrogate { .. }) => Verdict::LoneSurrogate,
        Err(JsonError::TooDeep) => Verdict::TooDeep,
        Err(JsonError::ByteOrderMark) => Verdict::ByteOrderMark,
        Err(JsonError::DuplicateKey { .. }) => Verdict::DuplicateKey,
        Err(_) => Verdict::Other,
    }
}

fn same<T: Copy + PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), Failed> {
    if found == expected {
        Ok(())
    } else {
        Err(Failed::from(format!(
            "expected {expected:?}, found {found:?}"
        )))
    }
}
