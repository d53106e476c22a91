//! The examples of the C2SP specifications, read and written again: signed-note, tlog-checkpoint,
//! tlog-cosignature, tlog-witness, tlog-proof. (Those of tlog-tiles and tlog-policy are beside the
//! code.) Nobody has their keys: what is tested is their form.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use waxseal_tlog::{
    AddCheckpointRequest, SignedNote, TlogProof, encode_signature_lines, parse_signature_lines,
};

const NOTE: &str = "\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
";

const CHECKPOINT: &str = "\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
";

const COSIGNATURE: &str = "\
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
";

const PROOF_OF_CONSISTENCY: &str = "\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

";

const SECOND_LINE: &str = "\
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

const WITNESSES_ANSWER: &str = "\
— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
";

/// The specification cuts the checkpoint's lines short: here the other example's stands for it.
const PROOF_OF_INCLUSION: &str = "\
c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

";

#[test]
fn signed_note() {
    let note = SignedNote::parse(NOTE).unwrap();
    assert_eq!(note.to_string(), NOTE);
    assert!(note.unverified_text().ends_with("\n\ned è subito sera.\n"));
    let [line] = note.signatures() else {
        panic!("one line");
    };
    assert_eq!(line.name().as_str(), "quasimodo.example/salvatore");
    assert_eq!(line.key_id().to_string(), "367ba04b");
    assert_eq!(line.payload().len(), 64);
}

#[test]
fn tlog_checkpoint() {
    let note = SignedNote::parse(CHECKPOINT).unwrap();
    assert_eq!(note.to_string(), CHECKPOINT);
    let text = note.unverified_checkpoint().unwrap();
    assert_eq!(text.origin().as_str(), "example.com/behind-the-sofa");
    assert_eq!(text.tree_size(), 20_852_163);
    assert_eq!(text.to_string(), note.unverified_text());
    assert!(text.extensions().is_empty());
}

#[test]
fn tlog_cosignature() {
    let both = format!("{CHECKPOINT}{COSIGNATURE}");
    let note = SignedNote::parse(&both).unwrap();
    assert_eq!(note.to_string(), both);
    let line = &note.signatures()[1];
    assert_eq!(line.name().as_str(), "witness.example.com/w1");
    // The time that the specification writes into its message, and a signature of Ed25519.
    assert_eq!(line.payload()[..8], 1_679_315_147_u64.to_be_bytes());
    assert_eq!(line.payload().len(), 8 + 64);
}

#[test]
fn tlog_witness() {
    let body = format!("{PROOF_OF_CONSISTENCY}{CHECKPOINT}{SECOND_LINE}");
    let request = AddCheckpointRequest::parse(&body).unwrap();
    assert_eq!(request.old_size, 20_852_014);
    assert_eq!(request.hashes.len(), 4);
    assert_eq!(request.checkpoint.signatures().len(), 2);
    assert_eq!(request.to_string(), body);
    let lines = parse_signature_lines(WITNESSES_ANSWER).unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(encode_signature_lines(&lines), WITNESSES_ANSWER);
}

#[test]
fn tlog_proof() {
    let text = format!("{PROOF_OF_INCLUSION}{CHECKPOINT}");
    let proof = TlogProof::parse(&text).unwrap();
    assert_eq!(proof.leaf_index, 73_894);
    assert_eq!(proof.hashes.len(), 5);
    assert_eq!(
        proof.extra.as_deref(),
        Some(&b"age-v1.2.1-darwin-arm64.tar.gz"[..])
    );
    assert_eq!(proof.to_string(), text);
}
