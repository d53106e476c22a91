//! Parameters of queries and forms, of which none may occur twice (RFC 6749 §3.1).

use std::collections::HashMap;

use url::form_urlencoded;

/// Longest query or form in bytes; real ones have some hundred.
pub(crate) const MAX_PARAMETERS: usize = 8 * 1024;

/// Decoded parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(HashMap<String, String>);

/// A query or form that is too long or has a parameter twice: two readers would see two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request is too long, or has a parameter twice")]
pub(crate) struct ParametersError;

impl Parameters {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ParametersError> {
        if text.len() > MAX_PARAMETERS {
            return Err(ParametersError);
        }
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            let before = parameters.insert(name.into_owned(), value.into_owned());
            if before.is_some() {
                return Err(ParametersError);
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter; empty ones count as absent (RFC 6749 §3.1).
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_error() {
        assert!(Parameters::parse(b"a=1&a=1").is_err());
        assert!(Parameters::parse(b"a=1&%61=2").is_err());
        assert!(Parameters::parse(&[b'a'; MAX_PARAMETERS + 1]).is_err());
        let good = Parameters::parse(b"a=1&b=&c=x%20y+z").unwrap();
        assert_eq!(good.value("a"), Some("1"));
        assert_eq!((good.value("b"), good.has("b")), (None, true));
        assert_eq!(good.value("c"), Some("x y z"));
        assert_eq!((good.value("d"), good.has("d")), (None, false));
    }
}
