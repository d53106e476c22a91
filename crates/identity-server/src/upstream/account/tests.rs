//! What providers say of an account, and whether its address counts.

use serde_json::json;

use super::*;

fn name(found: Result<Account, UpstreamError>) -> String {
    match found {
        Ok(Account { user_id, email }) => match email {
            Claimed::Verified(email) => format!("{user_id} {email}"),
            Claimed::Unproven(Some(email)) => format!("{user_id} ({email})"),
            Claimed::Unproven(None) => format!("{user_id} ()"),
        },
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn github_believes_the_primary_address_if_it_is_verified() {
    let check = |emails: Value, expected: &str| {
        // The profile's own address is never looked at.
        let user = json!({"id": 583231, "login": "octocat", "email": "ceo@example.com"});
        assert_eq!(name(github(&user, &emails)), expected, "{emails}");
    };
    let entry = |email: &str, primary: bool, verified: bool| json!({"email": email, "primary": primary, "verified": verified, "visibility": null});
    let you = "you@example.com";
    check(json!([entry(you, true, true)]), "583231 you@example.com");
    let several = json!([
        entry("ceo@example.com", false, true),
        entry("old@example.com", false, false),
        entry("You@Example.COM", true, true),
    ]);
    check(several, "583231 You@example.com");
    check(json!([entry(you, true, false)]), "EmailNotVerified");
    check(json!([entry(you, false, true)]), "NoEmail");
    check(json!([]), "NoEmail");
    check(json!({"message": "x"}), "Malformed(\"list of addresses\")");
    check(
        json!([{"email": you, "primary": 1, "verified": 1}]),
        "NoEmail",
    );
    check(
        json!([{"email": you, "primary": true, "verified": "true"}]),
        "EmailNotVerified",
    );
    check(
        json!([{"email": null, "primary": true, "verified": true}]),
        "NoEmail",
    );
    check(
        json!([entry("1+x@users.noreply.github.com", true, true)]),
        "NoEmail",
    );
    check(json!([entry("a@b@example.com", true, true)]), "BadEmail");
    let nobody = json!({"login": "octocat"});
    let emails = json!([entry(you, true, true)]);
    assert_eq!(name(github(&nobody, &emails)), "NoUserId");
}

#[test]
fn facebook_is_believed_nothing_but_the_account() {
    let check = |about: Value, expected: &str| {
        assert_eq!(name(facebook(&about)), expected, "{about}");
    };
    check(
        json!({"id": "10", "email": "You@Example.com"}),
        "10 (You@example.com)",
    );
    check(json!({"id": "10"}), "10 ()");
    check(json!({"id": "10", "email": "not an address"}), "10 ()");
    check(
        json!({"id": "10", "email": "you@example.com", "email_verified": true}),
        "10 (you@example.com)",
    );
    check(json!({"email": "you@example.com"}), "NoUserId");
    check(json!({"id": ""}), "NoUserId");
    check(json!({"id": "a\nb"}), "NoUserId");
    check(json!({"id": "a".repeat(256)}), "NoUserId");
    check(json!([]), "NoUserId");
}

#[test]
fn an_oauth2_provider_is_read_through_its_mapping() {
    let mut config = ConnectorConfig::new(ConnectorKind::Oauth2, "client");
    let check = |config: &ConnectorConfig, about: Value, expected: &str| {
        assert_eq!(name(oauth2(config, &about)), expected, "{about}");
    };
    let you = "you@example.com";
    let good = json!({"sub": "7", "email": you, "email_verified": true});
    check(&config, good, "7 you@example.com");
    let unverified = json!({"sub": "7", "email": you});
    check(&config, unverified.clone(), "EmailNotVerified");
    for not_true in [
        json!(false),
        json!("false"),
        json!(1),
        json!("1"),
        json!(null),
    ] {
        let about = json!({"sub": "7", "email": you, "email_verified": not_true});
        check(&config, about, "EmailNotVerified");
    }
    check(
        &config,
        json!({"sub": "7", "email_verified": true}),
        "NoEmail",
    );
    check(
        &config,
        json!({"sub": 1.5, "email": you, "email_verified": true}),
        "NoUserId",
    );
    check(&config, json!([1]), "NoUserId");
    config.userinfo = Some(UserinfoNames {
        user_id: "id".to_owned(),
        email: "mail".to_owned(),
        email_verified: "mail_ok".to_owned(),
    });
    check(
        &config,
        json!({"id": 7, "mail": you, "mail_ok": "true"}),
        "7 you@example.com",
    );
    config.userinfo = None;
    config.trust_unverified_email = true;
    check(&config, unverified, "7 you@example.com");
}

#[test]
fn a_proof_for_facebook_is_an_hmac_of_the_token() {
    // RFC 4231 §4.3, test case 2.
    assert_eq!(
        appsecret_proof("Jefe", "what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}
