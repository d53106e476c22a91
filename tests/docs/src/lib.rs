//! Prose that is compared with what it describes: the Markdown files of the repository, and the
//! commands, links and samples in them.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The lines of every fenced block of a language, without their fences.
pub fn fenced(markdown: &str, language: &str) -> Vec<Vec<String>> {
    let mut blocks = Vec::new();
    let mut block: Option<(bool, Vec<String>)> = None;
    for line in markdown.lines() {
        match (line.strip_prefix("```"), block.take()) {
            (Some(name), None) => block = Some((name == language, Vec::new())),
            (Some(_), Some((wanted, lines))) => {
                if wanted {
                    blocks.push(lines);
                }
            }
            (None, Some((wanted, mut lines))) => {
                lines.push(line.to_owned());
                block = Some((wanted, lines));
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The commands of every `console` block: what follows the prompt, in words.
pub fn commands(markdown: &str) -> Vec<Vec<String>> {
    let lines = fenced(markdown, "console").into_iter().flatten();
    lines
        .filter_map(|line| {
            let command = line.strip_prefix("$ ")?;
            let command = command.split(" # ").next().unwrap_or(command);
            Some(command.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// The targets of every link that is a path.
pub fn linked_paths(markdown: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = markdown;
    while let Some((_, after)) = rest.split_once("](") {
        let Some((target, remaining)) = after.split_once(')') else {
            break;
        };
        rest = remaining;
        let path = target.split('#').next().unwrap_or_default();
        if !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:") {
            paths.push(path.to_owned());
        }
    }
    paths
}

/// Every Markdown file of the repository.
///
/// # Errors
/// What the system says of a folder that cannot be read.
pub fn markdown_files() -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "waxseal-data"
            {
                folders.push(path);
            } else if name.ends_with(".md") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
