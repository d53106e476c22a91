//! Identity tokens: the claims that Sigstore's servers and clients read, signed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use waxseal_crypto::Time;
use waxseal_identity::{CompactJws, JwsAlgorithm, PUBLIC_CLIENT, at_hash, sign_jws};

use crate::records::Proven;
use crate::service::{Fault, Service};

/// Life of a token: enough for a question at a terminal and a batch of files.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// What tokens say: whom they are for, and about whom.
pub(crate) struct About<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) identity: &'a Proven,
    /// When the person logged in, if a person did.
    pub(crate) auth_time: Option<i64>,
    /// When the token ends that it was exchanged for.
    pub(crate) ends: Option<Time>,
}

/// Both tokens of one log-in.
pub(crate) struct Tokens {
    pub(crate) id_token: String,
    /// A whole identity token too: sigstore-python sends this one to the CA.
    pub(crate) access_token: String,
    pub(crate) expires: Time,
}

impl Service {
    pub(crate) async fn mint(&self, about: &About<'_>) -> Result<Tokens, Fault> {
        let now = self.now();
        let expires = now.checked_add(TOKEN_LIFE).unwrap_or(now);
        let expires = about.ends.map_or(expires, |ends| expires.min(ends));
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", json!(self.config.issuer));
        set("sub", json!(subject(about.identity)));
        set("aud", json!(about.client_id));
        set("exp", json!(expires.unix_seconds()));
        set("iat", json!(now.unix_seconds()));
        if let Some(time) = about.auth_time {
            set("auth_time", json!(time));
        }
        if let Some(nonce) = about.nonce {
            set("nonce", json!(nonce));
        }
        set("email", json!(about.identity.email));
        set("email_verified", json!(true));
        let federated = json!({
            "connector_id": about.identity.connector_id,
            "user_id": about.identity.user_id,
        });
        // Always, though clients ask only for `openid email`: the CA names the connector as issuer.
        set("federated_claims", federated);
        let access_token = self.sign(&claims).await?;
        let algorithm = JwsAlgorithm::of(self.context.keys.signing().0.algorithm());
        if let Some(hash) = algorithm.and_then(|algorithm| at_hash(algorithm, &access_token)) {
            claims.insert("at_hash".to_owned(), json!(hash));
        }
        Ok(Tokens {
            id_token: self.sign(&claims).await?,
            access_token,
            expires,
        })
    }

    async fn sign(&self, claims: &Map<String, Value>) -> Result<String, Fault> {
        let (signer, jwk) = self.context.keys.signing();
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        Ok(sign_jws(&*signer, jwk.key_id().unwrap_or_default(), &payload).await?)
    }

    /// The claims about the person in a token of ours that has not expired.
    pub(crate) fn userinfo(&self, token: &str) -> Option<Value> {
        let claims = self.own_claims(token)?;
        let about = ["sub", "email", "email_verified", "federated_claims"];
        Some(Value::Object(chosen(&claims, &about)))
    }

    /// What a token of ours says about itself, if it counts (RFC 7662 §2.2). Whoever asks holds the
    /// token, so the answer tells nothing new but that it counts.
    pub(crate) fn introspect(&self, token: &str) -> Value {
        let Some(claims) = self.own_claims(token) else {
            return json!({"active": false});
        };
        let mut about = chosen(&claims, &["iss", "sub", "aud", "exp", "iat", "email"]);
        about.insert("active".to_owned(), json!(true));
        about.insert("client_id".to_owned(), json!(PUBLIC_CLIENT));
        about.insert("token_type".to_owned(), json!("bearer"));
        Value::Object(about)
    }

    /// The claims of a token of ours that has not expired.
    fn own_claims(&self, token: &str) -> Option<Map<String, Value>> {
        let now = self.now();
        let jws = CompactJws::parse(token).ok()?;
        let keys = self.context.keys.published(now);
        let allowed = self.context.keys.algorithms(now);
        let payload = jws.verify(self.context.provider, &keys, &allowed).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(payload).ok()?;
        let is = |name: &str, value: &str| claims.get(name).and_then(Value::as_str) == Some(value);
        let expires = claims.get("exp").and_then(Value::as_i64)?;
        if !is("iss", &self.config.issuer) || !is("aud", PUBLIC_CLIENT) {
            return None;
        }
        if expires <= now.unix_seconds() {
            return None;
        }
        Some(claims)
    }
}

/// Some of the claims, those that are there.
fn chosen(claims: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), claims.get(*name)?.clone())))
        .collect()
}

/// Dex's `sub`: base64url of the protobuf message `{1: user_id, 2: connector_id}`.
fn subject(identity: &Proven) -> String {
    let mut message = Vec::new();
    for (tag, text) in [(0x0a, &identity.user_id), (0x12, &identity.connector_id)] {
        message.push(tag);
        let mut length = text.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or(0));
        message.extend(text.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_is_as_on_the_wire() {
        let check = |user_id: &str, connector_id: &str, expected: &str| {
            let identity = Proven {
                user_id: user_id.to_owned(),
                connector_id: connector_id.to_owned(),
                email: String::new(),
            };
            assert_eq!(subject(&identity), expected);
        };
        // protobuf: 0a 03 "foo" 12 03 "bar"
        check("foo", "bar", "CgNmb28SA2Jhcg");
        let long = subject(&Proven {
            user_id: "a".repeat(200),
            connector_id: String::new(),
            email: String::new(),
        });
        let bytes = URL_SAFE_NO_PAD.decode(long).unwrap();
        assert_eq!(bytes[..3], [0x0a, 0xc8, 0x01]);
        assert_eq!(bytes[203..], [0x12, 0x00]);
    }
}
