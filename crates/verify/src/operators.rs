//! Counting who vouches: by operator, never by entry, key or certificate.

/// The distinct operators among those that vouched. Authorities without an operator all count as
/// the same one: nothing says that they are apart (GHSA-9vcr-p3rj-q5q6 counted entries of one log).
#[derive(Debug, Default)]
pub(crate) struct Operators<'a>(Vec<&'a str>);

impl<'a> Operators<'a> {
    pub(crate) fn add(&mut self, operator: &'a str) {
        if !self.0.contains(&operator) {
            self.0.push(operator);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_13_operators_are_counted_once() {
        let check = |operators: &[&str], expected| {
            let mut counted = Operators::default();
            operators.iter().for_each(|operator| counted.add(operator));
            assert_eq!(counted.count(), expected, "{operators:?}");
        };
        check(&[], 0);
        check(&["a"], 1);
        check(&["a", "a"], 1);
        check(&["a", "b"], 2);
        check(&["", ""], 1);
        check(&["", "a", ""], 2);
    }
}
