//! What is kept, for whom, and in which files.

use serde_json::json;

use super::*;
use crate::testing::{CountingRandom, FakeEnvironment, NOW, RSA, at};

const ISSUER: &str = "https://issuer.example";
const CA: &str = "https://ca.example";

fn token_until(seconds: i64) -> IdentityToken {
    let claims = json!({"iss": ISSUER, "sub": "s", "aud": "sigstore", "exp": NOW + seconds});
    IdentityToken::parse(&RSA.sign(claims.to_string().as_bytes())).unwrap()
}

fn key(connector: Option<&str>) -> CacheKey {
    let mut config = LoginConfig::new(ISSUER);
    config.connector_id = connector.map(str::to_owned);
    CacheKey::new(&config, CA)
}

struct Kept {
    folder: tempfile::TempDir,
    cache: TokenCache,
    random: CountingRandom,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = TokenCache::at(folder.path().join("a").join("tokens"));
        Self {
            folder,
            cache,
            random: CountingRandom::default(),
        }
    }

    /// With one token, and the path of its file.
    fn one() -> (Self, PathBuf) {
        let kept = Self::new();
        kept.store(&key(None), 600).unwrap();
        let path = kept.files().remove(0);
        (kept, path)
    }

    fn store(&self, key: &CacheKey, seconds: i64) -> Result<(), CacheError> {
        self.cache
            .store(key, &token_until(seconds), at(0), &self.random)
    }

    fn load(&self, key: &CacheKey, seconds: i64) -> Result<bool, CacheError> {
        Ok(self.cache.load(key, at(seconds))?.is_some())
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache.folder()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn a_token_is_kept_until_it_expires() {
    let kept = Kept::new();
    assert!(!kept.load(&key(None), 0).unwrap());
    kept.store(&key(None), 600).unwrap();
    let found = kept.cache.load(&key(None), at(0)).unwrap().unwrap();
    assert_eq!(found.expose(), token_until(600).expose());
    assert!(kept.load(&key(None), 589).unwrap());
    assert_eq!(kept.files().len(), 1);
    // With less than the margin left it is deleted.
    assert!(!kept.load(&key(None), 590).unwrap());
    assert_eq!(kept.files().len(), 0);
}

#[test]
fn a_token_is_of_one_log_in() {
    let (kept, _) = Kept::one();
    let other = |change: fn(&mut CacheKey)| {
        let mut key = key(None);
        change(&mut key);
        assert!(!kept.load(&key, 0).unwrap(), "{key:?}");
    };
    other(|key| key.issuer.push('x'));
    other(|key| key.client_id.push('x'));
    other(|key| key.connector_id = Some("https://accounts.google.com".to_owned()));
    other(|key| key.connector_id = Some(String::new()));
    // An instance that names the issuer of another one gets nothing that opens that one.
    other(|key| "https://evil.example".clone_into(&mut key.authority));
    assert!(kept.load(&key(None), 0).unwrap());
}

#[test]
fn what_is_not_a_token_of_the_log_in_is_deleted() {
    for text in ["", "nonsense", "a.b.c", &"x".repeat(MAX_TOKEN + 1)] {
        let (kept, path) = Kept::one();
        fs::write(&path, text).unwrap();
        assert!(!kept.load(&key(None), 0).unwrap());
        assert!(!path.exists());
    }
    // A file that was put in another's place does not speak for that log-in.
    let (kept, path) = Kept::one();
    let claims =
        json!({"iss": "https://b.example", "sub": "s", "aud": "sigstore", "exp": NOW + 600});
    fs::write(&path, RSA.sign(claims.to_string().as_bytes())).unwrap();
    assert!(!kept.load(&key(None), 0).unwrap());
}

#[test]
fn storing_sweeps_what_has_expired() {
    let kept = Kept::new();
    kept.store(&key(Some("a")), 20).unwrap();
    kept.store(&key(Some("b")), 600).unwrap();
    assert_eq!(kept.files().len(), 2);
    let late = at(30);
    let token = token_until(600);
    kept.cache
        .store(&key(Some("c")), &token, late, &kept.random)
        .unwrap();
    assert_eq!(kept.files().len(), 2);
    assert_eq!(kept.cache.tokens(late).unwrap().len(), 2);
}

#[test]
fn clearing_leaves_nothing() {
    let kept = Kept::new();
    assert_eq!(kept.cache.clear().unwrap(), 0);
    kept.store(&key(Some("a")), 600).unwrap();
    kept.store(&key(Some("b")), 600).unwrap();
    // One that a killed process was writing.
    fs::write(kept.cache.folder().join("x.tmp"), "half").unwrap();
    assert_eq!(kept.cache.clear().unwrap(), 3);
    assert_eq!(kept.files().len(), 0);
}

#[test]
fn random() {
    struct Broken;
    impl Random for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError)
        }
    }
    let kept = Kept::new();
    let found = kept
        .cache
        .store(&key(None), &token_until(600), at(0), &Broken);
    assert!(matches!(found, Err(CacheError::Random(_))));
    assert_eq!(kept.files().len(), 0);
}

#[test]
fn io() {
    let kept = Kept::new();
    fs::write(
        kept.folder.path().join("a"),
        "a file where a folder belongs",
    )
    .unwrap();
    assert!(matches!(
        kept.store(&key(None), 600),
        Err(CacheError::Io { .. })
    ));
}

#[test]
fn s_56_debug_and_file_names_say_nothing() {
    let (kept, path) = Kept::one();
    let shown = format!("{:?} {}", kept.cache, path.display());
    assert!(
        !shown.contains("eyJ") && !shown.contains("issuer"),
        "{shown}"
    );
}

#[test]
fn the_folder_is_the_users_cache() {
    let check = |variables: &[(&'static str, &str)], expected: Option<&str>| {
        let variables = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let environment = FakeEnvironment {
            variables: variables.collect(),
            ..FakeEnvironment::default()
        };
        let cache = TokenCache::of_user(&environment);
        let found = cache.map(|cache| cache.folder().to_owned());
        assert_eq!(found, expected.map(PathBuf::from));
    };
    check(
        &[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")],
        Some("/c/waxseal/tokens"),
    );
    check(&[], None);
    check(&[("XDG_CACHE_HOME", "relative")], None);
    if cfg!(all(unix, not(target_os = "macos"))) {
        let expected = Some("/h/.cache/waxseal/tokens");
        check(&[("HOME", "/h")], expected);
        check(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")], expected);
    }
}

#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_users_alone() {
        let (kept, path) = Kept::one();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(kept.cache.folder()), 0o700);
        assert_eq!(mode(kept.cache.folder().parent().unwrap()), 0o700);
    }

    #[test]
    fn exposed() {
        for bits in [0o640, 0o604, 0o620, 0o602] {
            let (kept, path) = Kept::one();
            set_mode(&path, bits);
            let found = kept.load(&key(None), 0);
            assert!(matches!(found, Err(CacheError::Exposed { mode, .. }) if mode == bits));
            // It stays as it is: who could read it has read it.
            assert!(path.exists());
        }
        for bits in [0o750, 0o705, 0o1777] {
            let (kept, _) = Kept::one();
            set_mode(kept.cache.folder(), bits);
            for found in [
                kept.load(&key(None), 0).map(|_| ()),
                kept.store(&key(None), 600),
            ] {
                assert!(matches!(found, Err(CacheError::Exposed { mode, .. }) if mode == bits));
            }
        }
    }

    #[test]
    fn foreign_owner() {
        // Whoever we are: root's is another's, or another's is not root's.
        let kept = Kept::new();
        let own = rustix::process::geteuid().is_root();
        let foreign = TokenCache::at(match own {
            true => kept.folder.path().join("foreign"),
            false => PathBuf::from("/"),
        });
        if own {
            fs::create_dir(foreign.folder()).unwrap();
            std::os::unix::fs::chown(foreign.folder(), Some(12345), None).unwrap();
        }
        let found = foreign.load(&key(None), at(0));
        assert!(
            matches!(found, Err(CacheError::ForeignOwner { .. })),
            "{found:?}"
        );
    }

    #[test]
    fn wrong_kind() {
        let (kept, path) = Kept::one();
        let elsewhere = kept.folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let found = kept.load(&key(None), 0);
        assert!(
            matches!(found, Err(CacheError::WrongKind { .. })),
            "{found:?}"
        );
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o700);
        let found = kept.load(&key(None), 0);
        assert!(
            matches!(found, Err(CacheError::WrongKind { .. })),
            "{found:?}"
        );
        // The folder itself.
        let link = TokenCache::at(kept.folder.path().join("link"));
        symlink(kept.cache.folder(), link.folder()).unwrap();
        let found = link.load(&key(None), at(0));
        assert!(
            matches!(found, Err(CacheError::WrongKind { .. })),
            "{found:?}"
        );
    }
}
