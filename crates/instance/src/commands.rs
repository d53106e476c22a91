//! What to type: commands that run as they stand, for our client and for others (clients.md §2).

use crate::InstanceUrl;
use crate::client_files::{SIGNING_CONFIG, TRUST_CONFIG, TRUSTED_ROOT};

/// How our own client is started from where the person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program<'a> {
    /// It is on the PATH.
    Installed,
    /// It is at this path.
    At(&'a str),
    /// It is built and run from the sources.
    FromSource,
}

/// The commands for one instance.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "what the commands are made of")]
pub struct Commands<'a> {
    /// How our own client is started.
    pub program: Program<'a>,
    /// The data directory, as it is reached from where the person stands.
    pub folder: &'a str,
    /// The instance.
    pub url: &'a InstanceUrl,
    /// Who signs.
    pub identity: &'a str,
}

/// Commands that belong together, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// What they do.
    pub title: &'static str,
    /// One shell command each.
    pub lines: Vec<String>,
}

/// Signs with the library of sigstore-js: CONFIG TOKEN-FILE FILE BUNDLE. Its own CLI has no
/// command for files.
const JS_SIGN: &str = "\
    const fs=require(\"node:fs\"),[c,t,f,o]=process.argv.slice(1);\
    const read=p=>fs.readFileSync(p,\"utf8\");\
    require(\"@sigstore/sign\").bundleBuilderFromSigningConfig({\
    bundleType:\"messageSignature\",\
    signingConfig:require(\"@sigstore/protobuf-specs\").SigningConfig.fromJSON(JSON.parse(read(c))),\
    identityProvider:{getToken:async()=>read(t).trim()}\
    }).create({data:fs.readFileSync(f)}).then(b=>fs.writeFileSync(o,\
    JSON.stringify(require(\"@sigstore/bundle\").bundleToJSON(b))))";

/// Verifies with the library of sigstore-js: TRUSTED-ROOT BUNDLE FILE IDENTITY ISSUER. It takes
/// the identity for a pattern, so that one is anchored and escaped.
const JS_VERIFY: &str = "\
    const fs=require(\"node:fs\"),[r,b,f,who,issuer]=process.argv.slice(1);\
    const read=p=>JSON.parse(fs.readFileSync(p,\"utf8\"));\
    const {Verifier,toTrustMaterial,toSignedEntity}=require(\"@sigstore/verify\");\
    const {TrustedRoot}=require(\"@sigstore/protobuf-specs\");\
    new Verifier(toTrustMaterial(TrustedRoot.fromJSON(read(r)))).verify(\
    toSignedEntity(require(\"@sigstore/bundle\").bundleFromJSON(read(b)),fs.readFileSync(f)),\
    {subjectAlternativeName:\"^\"+who.replace(/[^\\w@-]/g,\"\\\\$&\")+\"$\",extensions:{issuer}});\
    console.log(\"verified\")";

impl Commands<'_> {
    /// Every group: ours first.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        vec![
            self.own(),
            self.token(),
            self.cosign(),
            self.python(),
            self.js(),
        ]
    }

    /// Sign and verify a file with our own client.
    #[must_use]
    pub fn own(&self) -> Group {
        let (program, folder) = (self.program(), quoted(self.folder));
        Group {
            title: "Sign and verify a file of your own",
            lines: vec![
                "echo hello > hello.txt".to_owned(),
                format!("{program} sign --instance {folder} hello.txt"),
                format!(
                    "{program} verify --instance {folder} --identity {} --issuer {} hello.txt",
                    self.identity(),
                    self.issuer()
                ),
            ],
        }
    }

    /// A token for the programs that cannot show the log-in page themselves.
    fn token(&self) -> Group {
        Group {
            title: "An identity token for other programs, good for five minutes",
            lines: vec![format!(
                "{} identity token --instance {} > token.jwt",
                self.program(),
                quoted(self.folder)
            )],
        }
    }

    fn cosign(&self) -> Group {
        let (root, config) = (self.file(TRUSTED_ROOT), self.file(SIGNING_CONFIG));
        Group {
            title: "The same with cosign 3",
            lines: vec![
                format!(
                    "cosign sign-blob --yes --signing-config {config} --trusted-root {root} \
                     --identity-token \"$(cat token.jwt)\" --bundle hello.cosign.json hello.txt"
                ),
                format!(
                    "cosign verify-blob --trusted-root {root} --bundle hello.cosign.json \
                     --certificate-identity {} --certificate-oidc-issuer {} hello.txt",
                    self.identity(),
                    self.issuer()
                ),
            ],
        }
    }

    fn python(&self) -> Group {
        let config = self.file(TRUST_CONFIG);
        Group {
            title: "The same with sigstore-python 4",
            lines: vec![
                format!(
                    "sigstore --trust-config {config} sign --identity-token \"$(cat token.jwt)\" \
                     --bundle hello.python.json --overwrite hello.txt"
                ),
                format!(
                    "sigstore --trust-config {config} verify identity --bundle hello.python.json \
                     --cert-identity {} --cert-oidc-issuer {} hello.txt",
                    self.identity(),
                    self.issuer()
                ),
            ],
        }
    }

    fn js(&self) -> Group {
        let (root, config) = (self.file(TRUSTED_ROOT), self.file(SIGNING_CONFIG));
        Group {
            title: "The same with sigstore-js 5 (after: npm install sigstore@5)",
            lines: vec![
                format!("node -e '{JS_SIGN}' {config} token.jwt hello.txt hello.js.json"),
                format!(
                    "node -e '{JS_VERIFY}' {root} hello.js.json hello.txt {} {}",
                    self.identity(),
                    self.issuer()
                ),
            ],
        }
    }

    fn program(&self) -> String {
        match self.program {
            Program::Installed => "waxseal".to_owned(),
            Program::At(path) => quoted(path),
            Program::FromSource => "cargo run --release -p waxseal --".to_owned(),
        }
    }

    fn file(&self, name: &str) -> String {
        quoted(&format!(
            "{}/client/{name}",
            self.folder.trim_end_matches('/')
        ))
    }

    fn identity(&self) -> String {
        quoted(self.identity)
    }

    fn issuer(&self) -> String {
        quoted(&self.url.join("/auth"))
    }
}

/// A word of a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_[]".contains(c);
    // Brackets are patterns, but only where a file of that name is there; `=` first is zsh's.
    if !word.is_empty() && word.chars().all(plain) && !word.contains('[') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(program: Program<'_>, folder: &str, expected: &str) {
        let url = InstanceUrl::parse("http://localhost:8383").unwrap();
        let commands = Commands {
            program,
            folder,
            url: &url,
            identity: "you@example.com",
        };
        assert_eq!(commands.own().lines.last().unwrap(), expected);
        for line in commands.groups().iter().flat_map(|group| &group.lines) {
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn the_commands_of_the_readme() {
        check(
            Program::Installed,
            "waxseal-data",
            "waxseal verify --instance waxseal-data --identity you@example.com --issuer \
             http://localhost:8383/auth hello.txt",
        );
        check(
            Program::FromSource,
            "a b/it's",
            "cargo run --release -p waxseal -- verify --instance 'a b/it'\\''s' --identity \
             you@example.com --issuer http://localhost:8383/auth hello.txt",
        );
    }

    #[test]
    fn a_program_beside_ours() {
        check(
            Program::At("target/release/waxseal"),
            "d",
            "target/release/waxseal verify --instance d --identity you@example.com --issuer \
             http://localhost:8383/auth hello.txt",
        );
    }

    #[test]
    fn words_of_a_shell() {
        let check = |word: &str, expected: &str| assert_eq!(quoted(word), expected);
        check("waxseal-data", "waxseal-data");
        check("http://[::1]:8383/auth", "'http://[::1]:8383/auth'");
        check("", "''");
        check("a;b", "'a;b'");
        check("$(x)", "'$(x)'");
        // A script is quoted as a whole, so it has no quote of this kind.
        assert!(!JS_SIGN.contains('\'') && !JS_VERIFY.contains('\''));
    }
}
