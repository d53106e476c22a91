//! in-toto statements (in-toto/attestation `spec/v0.1` and `spec/v1`): what an attestation says,
//! and about which artifacts.

use crate::json::{JsonError, Limits, Object, Value, parse, write_string};

/// The longest statement that is read: no longer than a bundle can carry.
pub const MAX_STATEMENT_BYTES: usize = 24 << 20;
/// The most JSON values in a statement: an SBOM of the longest size fits.
pub const MAX_STATEMENT_VALUES: usize = 1 << 20;
/// The most subjects (sigstore-go's limit; V-08).
pub const MAX_SUBJECTS: usize = 1024;
/// The most digests of one subject (sigstore-go's limit; V-08).
pub const MAX_SUBJECT_DIGESTS: usize = 32;

/// Why a payload is not a statement that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The text is not strict JSON.
    #[error("the statement is not JSON that is read here: {0}")]
    Json(#[from] JsonError),
    /// The document is not an object.
    #[error("the statement is not an object")]
    NotAnObject,
    /// `_type` is neither v0.1 nor v1 (spec "Statement", `_type`).
    #[error("unsupported statement type `{found}`")]
    Type {
        /// What was found, cut to 128 characters.
        found: String,
    },
    /// A field has another type of value than the specification says.
    #[error("the statement is malformed: field `{field}`")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// There is no subject, so nothing is attested (V-16).
    #[error("the statement has no subject")]
    NoSubject,
    /// There are more subjects than [`MAX_SUBJECTS`].
    #[error("the statement has {count} subjects, the limit is {MAX_SUBJECTS}")]
    TooManySubjects {
        /// How many there are.
        count: usize,
    },
    /// A subject has no digest, so it binds to nothing (V-16).
    #[error("subject {subject} of the statement has no digest")]
    NoDigest {
        /// Position of the subject, from zero.
        subject: usize,
    },
    /// A subject has more digests than [`MAX_SUBJECT_DIGESTS`].
    #[error(
        "subject {subject} of the statement has {count} digests, the limit is {MAX_SUBJECT_DIGESTS}"
    )]
    TooManyDigests {
        /// Position of the subject, from zero.
        subject: usize,
        /// How many there are.
        count: usize,
    },
    /// The predicate has no type.
    #[error("the statement has no predicate type")]
    NoPredicateType,
}

/// A version of the statement format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum StatementVersion {
    /// `https://in-toto.io/Statement/v0.1`
    V01,
    /// `https://in-toto.io/Statement/v1`
    #[default]
    V1,
}

impl StatementVersion {
    /// The `_type` of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V01 => "https://in-toto.io/Statement/v0.1",
            Self::V1 => "https://in-toto.io/Statement/v1",
        }
    }
}

/// A statement about artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The version that `_type` names.
    pub version: StatementVersion,
    /// What it is about; not empty, at most [`MAX_SUBJECTS`].
    pub subjects: Vec<Subject>,
    /// The type of the predicate, a URI.
    pub predicate_type: String,
    /// The predicate as its own JSON text, if there is one.
    pub predicate: Option<String>,
}

/// An artifact that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name, which proves nothing; empty if it has none.
    pub name: String,
    /// Its digests by algorithm, as they are written: `sha256` and lower-case hexadecimal. Not
    /// empty, at most [`MAX_SUBJECT_DIGESTS`].
    pub digests: Vec<(String, String)>,
}

impl Subject {
    /// The digest of that algorithm, as it is written.
    pub fn digest(&self, algorithm: &str) -> Option<&str> {
        self.digests
            .iter()
            .find(|(name, _)| name == algorithm)
            .map(|(_, value)| &**value)
    }
}

impl Statement {
    /// Reads a statement. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`StatementError`]: the first rule that the text breaks.
    pub fn from_json(text: &[u8]) -> Result<Self, StatementError> {
        let limits = Limits {
            bytes: MAX_STATEMENT_BYTES,
            values: MAX_STATEMENT_VALUES,
        };
        let value = parse(text, limits)?;
        let object = value.as_object().ok_or(StatementError::NotAnObject)?;
        let version = match string(object, "_type")? {
            "https://in-toto.io/Statement/v0.1" => StatementVersion::V01,
            "https://in-toto.io/Statement/v1" => StatementVersion::V1,
            other => {
                return Err(StatementError::Type {
                    found: other.chars().take(128).collect(),
                });
            }
        };
        let predicate_type = string(object, "predicateType")?;
        if predicate_type.is_empty() {
            return Err(StatementError::NoPredicateType);
        }
        Ok(Self {
            version,
            subjects: subjects(object)?,
            predicate_type: predicate_type.to_owned(),
            predicate: object
                .member("predicate")
                .filter(|member| member.value != Value::Null)
                .map(|member| member.raw.to_owned()),
        })
    }

    /// The statement as JSON; `predicate` must be JSON text and is written as it is.
    pub fn to_json(&self) -> String {
        let mut text = String::from("{\"_type\":");
        write_string(&mut text, self.version.as_str());
        text.push_str(",\"subject\":[");
        for (index, subject) in self.subjects.iter().enumerate() {
            text.push_str(if index > 0 {
                ",{\"name\":"
            } else {
                "{\"name\":"
            });
            write_string(&mut text, &subject.name);
            text.push_str(",\"digest\":{");
            for (index, (algorithm, value)) in subject.digests.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(&mut text, algorithm);
                text.push(':');
                write_string(&mut text, value);
            }
            text.push_str("}}");
        }
        text.push_str("],\"predicateType\":");
        write_string(&mut text, &self.predicate_type);
        if let Some(predicate) = &self.predicate {
            text.push_str(",\"predicate\":");
            text.push_str(predicate);
        }
        text.push('}');
        text
    }

    /// The statement as JSON on one line, for output that is read by lines: a line break of the
    /// predicate, which its signer writes, must not begin a line of his own. Inside of strings JSON
    /// has none.
    pub fn to_json_line(&self) -> String {
        self.to_json().replace(['\n', '\r'], " ")
    }
}

/// A string field; absent and `null` are empty.
fn string<'v>(object: &'v Object<'_>, field: &'static str) -> Result<&'v str, StatementError> {
    match object.value(field) {
        None | Some(Value::Null) => Ok(""),
        Some(value) => value.as_str().ok_or(StatementError::Field { field }),
    }
}

fn subjects(object: &Object<'_>) -> Result<Vec<Subject>, StatementError> {
    let field = "subject";
    let list = match object.value(field) {
        None | Some(Value::Null) => &[],
        Some(value) => value.as_array().ok_or(StatementError::Field { field })?,
    };
    if list.is_empty() {
        return Err(StatementError::NoSubject);
    }
    if list.len() > MAX_SUBJECTS {
        return Err(StatementError::TooManySubjects { count: list.len() });
    }
    list.iter()
        .enumerate()
        .map(|(index, value)| {
            let subject = value.as_object().ok_or(StatementError::Field { field })?;
            Ok(Subject {
                name: string(subject, "name")?.to_owned(),
                digests: digests(index, subject)?,
            })
        })
        .collect()
}

fn digests(subject: usize, object: &Object<'_>) -> Result<Vec<(String, String)>, StatementError> {
    let field = "digest";
    let members = match object.value(field) {
        None | Some(Value::Null) => &[],
        Some(value) => value
            .as_object()
            .ok_or(StatementError::Field { field })?
            .members(),
    };
    if members.is_empty() {
        return Err(StatementError::NoDigest { subject });
    }
    if members.len() > MAX_SUBJECT_DIGESTS {
        return Err(StatementError::TooManyDigests {
            subject,
            count: members.len(),
        });
    }
    members
        .iter()
        .map(|member| {
            let value = member
                .value
                .as_str()
                .ok_or(StatementError::Field { field })?;
            Ok((member.key.clone().into_owned(), value.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: StatementError) {
        assert_eq!(
            Statement::from_json(text.as_bytes()),
            Err(expected),
            "{text}"
        );
    }

    fn with_subjects(subjects: &str) -> String {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":{subjects},"predicateType":"t"}}"#
        )
    }

    fn digests(count: usize) -> String {
        let list: Vec<String> = (0..count).map(|n| format!(r#""a{n}":"00""#)).collect();
        format!(r#"[{{"digest":{{{}}}}}]"#, list.join(","))
    }

    fn subjects(count: usize) -> String {
        format!(
            "[{}]",
            vec![r#"{"digest":{"sha256":"00"}}"#; count].join(",")
        )
    }

    #[test]
    fn both_versions_are_read_and_written() {
        for version in [StatementVersion::V01, StatementVersion::V1] {
            let text = format!(
                r#"{{"_type":"{}","subject":[{{"name":"a","digest":{{"sha256":"00","sha512":"11"}}}},{{"name":"","digest":{{"x":"y"}}}}],"predicateType":"t","predicate":{{"k": [1.50, "é"]}}}}"#,
                version.as_str()
            );
            let statement = Statement::from_json(text.as_bytes()).unwrap();
            assert_eq!(statement.version, version);
            assert_eq!(statement.subjects[0].digest("sha512"), Some("11"));
            assert_eq!(
                statement.predicate.as_deref(),
                Some(r#"{"k": [1.50, "é"]}"#)
            );
            assert_eq!(statement.to_json(), text);
        }
    }

    #[test]
    fn a_null_predicate_is_none() {
        let text =
            with_subjects(&subjects(1)).replace("\"t\"", "\"t\",\"predicate\":null,\"new\":1");
        assert_eq!(
            Statement::from_json(text.as_bytes()).unwrap().predicate,
            None
        );
    }

    #[test]
    fn json() {
        check(
            "{",
            StatementError::Json(JsonError::Malformed { offset: 1 }),
        );
        let text = with_subjects(&subjects(1)).replace("\"t\"", r#""t","predicate":{"a":1,"a":2}"#);
        assert!(matches!(
            Statement::from_json(text.as_bytes()),
            Err(StatementError::Json(JsonError::DuplicateKey { .. }))
        ));
    }

    #[test]
    fn not_an_object() {
        check("[]", StatementError::NotAnObject);
    }

    #[test]
    fn r#type() {
        check(
            "{}",
            StatementError::Type {
                found: String::new(),
            },
        );
        let found = "https://in-toto.io/Statement/v2";
        check(
            &format!(r#"{{"_type":"{found}"}}"#),
            StatementError::Type {
                found: found.into(),
            },
        );
    }

    #[test]
    fn field() {
        check(r#"{"_type":1}"#, StatementError::Field { field: "_type" });
        check(
            &with_subjects("{}"),
            StatementError::Field { field: "subject" },
        );
        check(
            &with_subjects("[1]"),
            StatementError::Field { field: "subject" },
        );
        check(
            &with_subjects(r#"[{"name":1}]"#),
            StatementError::Field { field: "name" },
        );
        check(
            &with_subjects(r#"[{"digest":[]}]"#),
            StatementError::Field { field: "digest" },
        );
        check(
            &with_subjects(r#"[{"digest":{"a":1}}]"#),
            StatementError::Field { field: "digest" },
        );
    }

    #[test]
    fn no_subject() {
        check(&with_subjects("[]"), StatementError::NoSubject);
        check(&with_subjects("null"), StatementError::NoSubject);
    }

    #[test]
    fn v_08_too_many_subjects() {
        let text = with_subjects(&subjects(MAX_SUBJECTS));
        assert!(Statement::from_json(text.as_bytes()).is_ok());
        let text = with_subjects(&subjects(MAX_SUBJECTS + 1));
        check(
            &text,
            StatementError::TooManySubjects {
                count: MAX_SUBJECTS + 1,
            },
        );
    }

    #[test]
    fn no_digest() {
        check(
            &with_subjects(r#"[{"name":"a"}]"#),
            StatementError::NoDigest { subject: 0 },
        );
        check(
            &with_subjects(r#"[{"digest":{}}]"#),
            StatementError::NoDigest { subject: 0 },
        );
    }

    #[test]
    fn v_08_too_many_digests() {
        let text = with_subjects(&digests(MAX_SUBJECT_DIGESTS));
        assert!(Statement::from_json(text.as_bytes()).is_ok());
        let text = with_subjects(&digests(MAX_SUBJECT_DIGESTS + 1));
        check(
            &text,
            StatementError::TooManyDigests {
                subject: 0,
                count: 33,
            },
        );
    }

    #[test]
    fn no_predicate_type() {
        let text = with_subjects(&subjects(1)).replace("\"t\"", "\"\"");
        check(&text, StatementError::NoPredicateType);
    }
}
