//! The templates of Fulcio's issuer configuration: the subset of Go's `text/template` that is in
//! use (authority.md §1.8). A bare word is the claim of that name.

use crate::TemplateError;

/// Deepest nesting of conditions.
const MAX_CONDITIONS: usize = 8;

/// Most parts of one template.
const MAX_PARTS: usize = 64;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Claim(String),
    /// `{{ if eq .claim "value" }}then{{ else }}otherwise{{ end }}`
    IfEqual {
        claim: String,
        value: String,
        then: Vec<Self>,
        otherwise: Vec<Self>,
    },
}

/// A template outside the subset, with the place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the template is malformed at byte {at}")]
pub(crate) struct TemplateSyntaxError {
    at: usize,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateSyntaxError> {
        if is_name(text) {
            return Ok(Self(vec![Part::Claim(text.to_owned())]));
        }
        let mut parser = Parser {
            text,
            at: 0,
            parts: 0,
        };
        match parser.block(0)? {
            (parts, Close::Text) => Ok(Self(parts)),
            _ => Err(parser.error()),
        }
    }

    /// Fills in the claims; `look_up` gives `None` for a claim that is absent.
    pub(crate) fn render(
        &self,
        look_up: &dyn Fn(&str) -> Result<Option<String>, TemplateError>,
    ) -> Result<String, TemplateError> {
        let mut out = String::new();
        render(&self.0, look_up, &mut out)?;
        Ok(out)
    }
}

fn render(
    parts: &[Part],
    look_up: &dyn Fn(&str) -> Result<Option<String>, TemplateError>,
    out: &mut String,
) -> Result<(), TemplateError> {
    let value = |claim: &String| {
        look_up(claim)?.ok_or_else(|| TemplateError::MissingClaim {
            claim: claim.clone(),
        })
    };
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Claim(claim) => out.push_str(&value(claim)?),
            Part::IfEqual {
                claim,
                value: expected,
                then,
                otherwise,
            } => {
                let branch = if value(claim)? == *expected {
                    then
                } else {
                    otherwise
                };
                render(branch, look_up, out)?;
            }
        }
    }
    Ok(())
}

/// What closed a block.
#[derive(PartialEq, Eq)]
enum Close {
    Text,
    ElseAction,
    EndAction,
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    parts: usize,
}

impl<'a> Parser<'a> {
    fn error(&self) -> TemplateSyntaxError {
        TemplateSyntaxError { at: self.at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn block(&mut self, depth: usize) -> Result<(Vec<Part>, Close), TemplateSyntaxError> {
        if depth > MAX_CONDITIONS {
            return Err(self.error());
        }
        let mut parts = Vec::new();
        loop {
            self.parts += 1;
            if self.parts > MAX_PARTS {
                return Err(self.error());
            }
            let rest = self.rest();
            let (literal, action) = match rest.split_once("{{") {
                None => (rest, None),
                Some((literal, after)) => {
                    let (action, _) = after.split_once("}}").ok_or(self.error())?;
                    (literal, Some(action))
                }
            };
            if literal.contains("}}") {
                return Err(self.error());
            }
            if !literal.is_empty() {
                parts.push(Part::Text(literal.to_owned()));
            }
            let Some(action) = action else {
                self.at = self.text.len();
                return Ok((parts, Close::Text));
            };
            self.at += literal.len() + 4 + action.len();
            match action.trim() {
                "else" => return Ok((parts, Close::ElseAction)),
                "end" => return Ok((parts, Close::EndAction)),
                action => parts.push(self.action(action, depth)?),
            }
        }
    }

    fn action(&mut self, action: &str, depth: usize) -> Result<Part, TemplateSyntaxError> {
        if let Some(claim) = action.strip_prefix('.').filter(|name| is_name(name)) {
            return Ok(Part::Claim(claim.to_owned()));
        }
        let condition = action.strip_prefix("if eq .").and_then(|rest| {
            let (claim, literal) = rest.split_once(' ')?;
            let value = literal.trim().strip_prefix('"')?.strip_suffix('"')?;
            (is_name(claim) && !value.contains(['"', '\\'])).then_some((claim, value))
        });
        let (claim, value) = condition.ok_or(self.error())?;
        let (then, end) = self.block(depth + 1)?;
        let (otherwise, end) = match end {
            Close::ElseAction => self.block(depth + 1)?,
            end => (Vec::new(), end),
        };
        if end != Close::EndAction {
            return Err(self.error());
        }
        Ok(Part::IfEqual {
            claim: claim.to_owned(),
            value: value.to_owned(),
            then,
            otherwise,
        })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: Result<&str, &str>) {
        let look_up = |name: &str| {
            Ok(match name {
                "a" => Some("A".to_owned()),
                "empty" => Some(String::new()),
                _ => None,
            })
        };
        let found = match Template::parse(template) {
            Err(_) => Err("syntax"),
            Ok(template) => template.render(&look_up).map_err(|_| "missing claim"),
        };
        assert_eq!(found.as_deref().map_err(|e| *e), expected, "{template}");
    }

    #[test]
    fn missing_claim() {
        check("a", Ok("A"));
        check("b", Err("missing claim"));
        check("x/{{ .a }}/{{.a}}", Ok("x/A/A"));
        check("{{ .b }}", Err("missing claim"));
        check("-{{ .empty }}-", Ok("--"));
        check(r#"{{ if eq .a "A" }}yes{{ else }}no{{ end }}!"#, Ok("yes!"));
        check(r#"{{ if eq .a "B" }}yes{{ else }}no{{ end }}!"#, Ok("no!"));
        check(r#"{{ if eq .a "B" }}yes{{ end }}!"#, Ok("!"));
        check(r#"{{ if eq .b "B" }}yes{{ end }}"#, Err("missing claim"));
        check(
            r#"{{ if eq .a "A" }}{{ if eq .empty "" }}both{{ end }}{{ end }}"#,
            Ok("both"),
        );
    }

    #[test]
    fn template_syntax_error() {
        for text in [
            "{{",
            "}}",
            "{{ }}",
            "{{ a }}",
            "{{ .a.b }}",
            "{{ .a | html }}",
            "{{ else }}",
            "{{ end }}",
            r#"{{ if eq .a "A" }}x"#,
            r#"{{ if eq .a "A" }}x{{ else }}y"#,
            r#"{{ if eq .a "A" }}x{{ else }}y{{ else }}z{{ end }}"#,
            "{{ if .a }}x{{ end }}",
            r#"{{ range .a }}x{{ end }}"#,
            r#"{{ if eq .a "\"" }}x{{ end }}"#,
            "a}}",
        ] {
            check(text, Err("syntax"));
        }
        let nested = |n: usize| {
            format!(
                "{}x{}",
                r#"{{ if eq .a "A" }}"#.repeat(n),
                "{{ end }}".repeat(n)
            )
        };
        check(&nested(8), Ok("x"));
        check(&nested(9), Err("syntax"));
        check(&"{{ .a }}".repeat(65), Err("syntax"));
    }
}
