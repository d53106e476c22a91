//! The first form of a page of ours. This is no HTML parser: it reads what the broker writes.

use url::form_urlencoded;

/// Characters of a page that an error shows.
const EXCERPT: usize = 200;

/// A form: where it goes, and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// The first form of a page that is sent by POST.
    pub(super) fn first(page: &str) -> Option<Self> {
        let (_, rest) = page.split_once("<form ")?;
        let (tag, rest) = rest.split_once('>')?;
        if attribute(tag, "method")? != "post" {
            return None;
        }
        let (inside, _) = rest.split_once("</form>")?;
        let fields = inside
            .split("<input ")
            .skip(1)
            .filter_map(|input| {
                let (tag, _) = input.split_once('>')?;
                let value = attribute(tag, "value").unwrap_or_default();
                Some((attribute(tag, "name")?, value))
            })
            .collect();
        Some(Self {
            action: attribute(tag, "action")?,
            fields,
        })
    }

    pub(super) fn action(&self) -> &str {
        &self.action
    }

    pub(super) fn asks_for(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    pub(super) fn fill(mut self, name: &str, value: &str) -> Self {
        for (field, filled) in &mut self.fields {
            if field == name {
                value.clone_into(filled);
            }
        }
        self
    }

    pub(super) fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.fields)
            .finish()
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = format!(" {tag}")
        .split_once(&format!(" {name}=\""))
        .map(|(before, rest)| (before.to_owned(), rest.to_owned()))?;
    let (value, _) = rest.split_once('"')?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&#x27;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

/// What a page says, without its markup, cut short.
pub(super) fn text(page: &str) -> String {
    let body = page.split_once("<main").map_or(page, |(_, body)| body);
    let mut text = String::new();
    let mut in_tag = body.len() < page.len();
    for character in body.chars() {
        match character {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            _ if in_tag || character.is_control() => {}
            other => text.push(other),
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<main><p>Hi</p><form method=\"post\" action=\"/auth/x?a=1&amp;b=2\">\
        <input type=\"hidden\" name=\"request\" value=\"r&quot;1\">\
        <input id=\"email\" name=\"email\" type=\"email\" required>\
        <button type=\"submit\">Send</button></form>\
        <form method=\"post\" action=\"/cancel\"><input name=\"cancel\" value=\"1\"></form></main>";

    #[test]
    fn the_first_form_is_filled_in() {
        let form = Form::first(PAGE).unwrap();
        assert_eq!(form.action(), "/auth/x?a=1&b=2");
        assert!(form.asks_for("email") && !form.asks_for("code") && !form.asks_for("cancel"));
        let form = form.fill("email", "you+x@example.com");
        assert_eq!(form.encode(), "request=r%221&email=you%2Bx%40example.com");
    }

    #[test]
    fn pages_without_a_form() {
        for page in [
            "",
            "<p>x</p>",
            "<form ",
            "<form method=\"get\" action=\"/\"></form>",
            "<form method=\"post\" action=\"/\">",
        ] {
            assert_eq!(Form::first(page), None, "{page}");
        }
    }

    #[test]
    fn a_page_as_text() {
        assert_eq!(text(PAGE), "Hi Send");
        assert_eq!(text(&format!("<p>{}</p>", "a ".repeat(500))).len(), EXCERPT);
    }
}
