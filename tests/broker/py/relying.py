"""authlib, a relying party that others wrote, at our broker: relying.py ISSUER

It asks the test for what a person does: {"ask": "visit", "url": …} is answered with the URL that
the browser ends at.
"""

import json
import os
import sys
import urllib.parse

# Plain http is what a broker on loopback speaks; authlib wants to be told that it may.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

issuer = sys.argv[1]
REDIRECT = "http://localhost:1/auth/callback"


def ask(question):
    print(json.dumps(question), flush=True)
    return json.loads(sys.stdin.readline())


def get(url, **more):
    answer = requests.get(url, timeout=20, **more)
    answer.raise_for_status()
    return answer.json()


metadata = get(issuer + "/.well-known/openid-configuration")


def session(method="none", secret=None):
    return OAuth2Session(
        "sigstore", secret, token_endpoint_auth_method=method, scope="openid email",
        redirect_uri=REDIRECT, code_challenge_method="S256")


class Login:
    def __init__(self, client=None, **more):
        self.client = client or session()
        self.verifier, self.nonce = generate_token(64), generate_token(20)
        url, self.state = self.client.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=self.verifier, nonce=self.nonce)
        # The library sets some of these itself, whatever it is told.
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query)) | more
        url = f"{metadata['authorization_endpoint']}?{urllib.parse.urlencode(query)}"
        self.callback = ask({"ask": "visit", "url": url})

    def tokens(self, **more):
        return self.client.fetch_token(
            metadata["token_endpoint"], authorization_response=self.callback,
            code_verifier=more.pop("code_verifier", self.verifier), state=self.state, **more)


def claims_of(tokens, nonce):
    keys = KeySet.import_key_set(get(metadata["jwks_uri"]))
    token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
    claims = CodeIDToken(
        token.claims, token.header,
        {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": "sigstore"},
         "nonce": {"essential": True, "value": nonce}},
        {"nonce": nonce, "client_id": "sigstore", "access_token": tokens["access_token"],
         "max_age": 300})
    claims.validate()
    return claims


def refused(error, attempt):
    try:
        attempt()
    except OAuthError as found:
        assert found.error == error, (found.error, error)
    else:
        raise AssertionError(f"{error} is expected")


def its_metadata_is_valid():
    # Its own rules, of Discovery and of RFC 8414; both want https for endpoints, which loopback
    # has not, so they are asked about the same document of an https issuer.
    secure = json.loads(json.dumps(metadata).replace("http://", "https://"))
    OpenIDProviderMetadata(secure).validate()
    AuthorizationServerMetadata(secure).validate()


def a_log_in():
    login = Login()
    tokens = login.tokens()
    claims = claims_of(tokens, login.nonce)
    assert claims["email"] == "you@example.com" and claims["email_verified"] is True
    about = login.client.get(metadata["userinfo_endpoint"]).json()
    assert about["sub"] == claims["sub"] and about["email"] == claims["email"]


def client_authentication():
    for method in ["none", "client_secret_basic", "client_secret_post"]:
        login = Login(session(method, ""))
        claims_of(login.tokens(), login.nonce)
    for method in ["client_secret_basic", "client_secret_post"]:
        login = Login(session(method, "wrong"))
        refused("invalid_client", login.tokens)


def a_code_twice():
    login = Login()
    login.tokens()
    refused("invalid_grant", login.tokens)


def a_wrong_verifier():
    login = Login()
    refused("invalid_grant", lambda: login.tokens(code_verifier=generate_token(64)))


def another_redirect():
    login = Login()
    refused("invalid_grant", lambda: login.tokens(redirect_uri="http://localhost:2/auth/callback"))


def refusals():
    for more, error in [
        ({"prompt": "none"}, "login_required"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"request": "x.y.z"}, "request_not_supported"),
    ]:
        login = Login(**more)
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(login.callback).query))
        assert query["state"] == login.state and query["iss"] == issuer, query
        assert query["error"] == error, query


def bad_tokens():
    login = Login()
    tokens = login.tokens()
    head, body, signature = tokens["access_token"].split(".")
    for bad in ["x", f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}"]:
        answer = requests.get(
            metadata["userinfo_endpoint"], timeout=20, headers={"Authorization": f"Bearer {bad}"})
        assert answer.status_code == 401, answer.status_code
        assert "invalid_token" in answer.headers["WWW-Authenticate"]


for test in [its_metadata_is_valid, a_log_in, client_authentication, a_code_twice, a_wrong_verifier,
             another_redirect, refusals, bad_tokens]:
    print(test.__name__, file=sys.stderr, flush=True)
    test()
