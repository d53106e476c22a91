//! The page at `/`: what this is, and what to type.

use axum::Router;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use http::header;

use crate::Settings;
use crate::commands::{Commands, Program};

/// No script; the broker's style sheet.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The address in the examples.
const EXAMPLE: &str = "you@example.com";

pub(crate) fn router(page: &str) -> Router {
    let page = page.to_owned();
    let answer = async move || {
        let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
        (policy, Html(page.clone())).into_response()
    };
    Router::new().route("/", get(answer))
}

/// The page of an instance. The files for clients are not here: whom to trust is not learnt from
/// whoever answers, but from whoever runs the instance.
pub(crate) fn text(settings: &Settings) -> String {
    let commands = Commands {
        program: Program::Installed,
        folder: "DIR",
        url: &settings.url,
        identity: EXAMPLE,
    };
    let url = &settings.url;
    let services = [
        ("Identity broker", "/auth/.well-known/openid-configuration"),
        ("Certificate authority", "/api/v2/trustBundle"),
        ("Transparency log", "/checkpoint"),
        ("Certificate transparency log", "/ct/checkpoint"),
        ("Timestamp authority", "/api/v1/timestamp/certchain"),
        ("Readiness", "/readyz"),
    ];
    let rows: String = services
        .iter()
        .map(|(name, path)| format!("<li>{name}: <a href=\"{path}\">{path}</a></li>"))
        .collect();
    let groups: String = commands
        .groups()
        .iter()
        .map(|group| {
            // A box each: a line that is too long for the page breaks, and is still one command.
            let lines = group.lines.iter();
            let boxes: String = lines
                .map(|line| format!("<pre><code>{}</code></pre>", escaped(line)))
                .collect();
            format!("<h2>{}</h2>{boxes}", group.title)
        })
        .collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{name}: a private Sigstore</title>\
         <link rel=\"stylesheet\" href=\"/auth/style.css\">\
         <header>{name}</header><main><h1>A private Sigstore</h1>\
         <p>It signs files in the name of people who log in, and writes every signature into a log \
         that cannot be changed unnoticed. Its address is <strong>{url}</strong>.</p>\
         <ul>{rows}</ul>\
         <p>Whoever runs this instance has a folder <strong>client</strong> in its data directory. \
         Get a copy from them; it tells your programs whom to trust. Below, <strong>DIR</strong> is \
         the folder that holds it.</p>{groups}</main></html>",
        name = escaped(&settings.name),
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn names_are_text() {
        let config = Config::from_toml("name = '<script>\"&'").unwrap();
        let page = text(&config.settle(crate::Flags::default()).unwrap());
        assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script"));
        assert!(
            page.contains("waxseal sign --instance DIR hello.txt"),
            "{page}"
        );
    }
}
