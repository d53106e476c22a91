//! What came of a command: the classes of failure, their exit codes, and what is said about one.

/// What kind of failure it was. Exit codes are made of this and of nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A fault of this program, or of the machine it runs on.
    Internal,
    /// The command line is not one that can be followed.
    Usage,
    /// A signature, digest, proof, certificate or time does not hold.
    Cryptographic,
    /// All of it holds, but it is not what was asked for.
    Policy,
    /// No bundle was found.
    NotFound,
    /// The input is malformed, or uses something that is not supported.
    Malformed,
    /// The trusted root is missing, malformed, or lacks what the bundle names.
    TrustRoot,
    /// There is no identity to sign with, or it was not accepted.
    Identity,
    /// A service could not be reached, or failed: later it may not.
    Unavailable,
    /// It would have done harm, such as to overwrite a file, and nobody said to.
    Refused,
    /// Somebody stopped it (Ctrl-C).
    Interrupted,
}

impl Class {
    /// The exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Cryptographic => 3,
            Self::Policy => 4,
            Self::NotFound => 5,
            Self::Malformed => 6,
            Self::TrustRoot => 7,
            Self::Identity => 8,
            Self::Unavailable => 9,
            Self::Refused => 10,
            // As of a program that SIGINT ends: 128 and its number.
            Self::Interrupted => 130,
        }
    }

    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Cryptographic => "cryptographic",
            Self::Policy => "policy",
            Self::NotFound => "not-found",
            Self::Malformed => "malformed",
            Self::TrustRoot => "trust-root",
            Self::Identity => "identity",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One failure, with all that is said about it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What kind it is.
    pub(crate) class: Class,
    /// Its stable name.
    pub(crate) code: &'static str,
    /// What happened, in one line.
    pub(crate) message: String,
    /// What else there is to say.
    pub(crate) details: Box<Details>,
}

/// What is said below the first line of a failure.
#[derive(Debug, Clone, Default)]
pub(crate) struct Details {
    /// What was expected.
    pub(crate) expected: Option<String>,
    /// What was found instead.
    pub(crate) got: Option<String>,
    /// What led to it, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure of a class, with its stable name and what happened.
    pub(crate) fn new(class: Class, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            code,
            message: message.into(),
            details: Box::default(),
        }
    }

    /// A command line that cannot be followed.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, "usage", message)
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.details.hint = Some(hint.into());
        self
    }

    /// Adds what was expected and what was found.
    pub(crate) fn expected(mut self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        self.details.expected = Some(expected.into());
        self.details.got = Some(got.into());
        self
    }

    /// Adds an error and everything that led to it.
    pub(crate) fn because(mut self, error: &dyn std::error::Error) -> Self {
        self.details.causes.push(error.to_string());
        self.led_by(error)
    }

    /// Adds everything that led to an error whose own text is the message already.
    pub(crate) fn led_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            self.details.causes.push(cause.to_string());
            source = cause.source();
        }
        self
    }
}

/// How a command failed, for the exit code.
#[derive(Debug)]
pub(crate) enum Failed {
    /// With this failure, which nobody has said yet.
    With(Box<Failure>),
    /// With failures of this class, which the command has said itself, one for each artifact.
    Said(Class),
}

impl Failed {
    /// What kind of failure it is.
    pub(crate) const fn class(&self) -> Class {
        match self {
            Self::With(failure) => failure.class,
            Self::Said(class) => *class,
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::With(Box::new(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_exits_with_zero() {
        let classes = [
            Class::Internal,
            Class::Usage,
            Class::Cryptographic,
            Class::Policy,
            Class::NotFound,
            Class::Malformed,
            Class::TrustRoot,
            Class::Identity,
            Class::Unavailable,
            Class::Refused,
            Class::Interrupted,
        ];
        let codes: Vec<u8> = classes.iter().map(|class| class.exit_code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130]);
    }
}
