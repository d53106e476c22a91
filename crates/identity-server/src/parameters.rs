//! Parameters of queries and forms, of which none may occur twice (RFC 6749 §3.1).

use std::collections::HashMap;

use url::form_urlencoded;

/// Longest query or form in bytes; real ones have some hundred.
pub(crate) const MAX_PARAMETERS: usize = 8 * 1024;

/// Decoded parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters {
    values: HashMap<String, String>,
    has_repeated: bool,
}

/// A query or form that is too long or has a parameter twice: two readers would see two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is too long, or has a parameter twice")]
pub(crate) struct ParametersError;

impl Parameters {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ParametersError> {
        let parameters = Self::parse_tolerating(text, "")?;
        if parameters.has_repeated {
            return Err(ParametersError);
        }
        Ok(parameters)
    }

    /// The same where one parameter may be repeated; its last value counts.
    pub(crate) fn parse_tolerating(text: &[u8], repeatable: &str) -> Result<Self, ParametersError> {
        if text.len() > MAX_PARAMETERS {
            return Err(ParametersError);
        }
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            let name = name.into_owned();
            let is_repeatable = name == repeatable;
            let before = parameters.values.insert(name, value.into_owned());
            if before.is_some() && !is_repeatable {
                return Err(ParametersError);
            }
            parameters.has_repeated |= before.is_some();
        }
        Ok(parameters)
    }

    /// Whether the parameter that may be repeated is.
    pub(crate) const fn has_repeated(&self) -> bool {
        self.has_repeated
    }

    /// A parameter; empty ones count as absent (RFC 6749 §3.1).
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_error() {
        assert!(Parameters::parse(b"a=1&a=1").is_err());
        assert!(Parameters::parse(b"a=1&%61=2").is_err());
        assert!(Parameters::parse(b"=1&=2").is_err());
        assert!(Parameters::parse(&[b'a'; MAX_PARAMETERS + 1]).is_err());
        let tolerated = Parameters::parse_tolerating(b"a=1&a=2&b=3", "a").unwrap();
        assert!(tolerated.has_repeated() && tolerated.value("a") == Some("2"));
        assert!(Parameters::parse_tolerating(b"a=1&b=2&b=3", "a").is_err());
        let good = Parameters::parse(b"a=1&b=&c=x%20y+z").unwrap();
        assert_eq!(good.value("a"), Some("1"));
        assert_eq!((good.value("b"), good.has("b")), (None, true));
        assert_eq!(good.value("c"), Some("x y z"));
        assert_eq!((good.value("d"), good.has("d")), (None, false));
    }
}
