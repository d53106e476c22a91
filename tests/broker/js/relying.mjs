// openid-client, a relying party that others wrote, at our broker: relying.mjs ISSUER
//
// It asks the test for what a person does: {"ask": "visit", "url": …} is answered with the URL that
// the browser ends at.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import assert from 'node:assert/strict';

const require = createRequire(`${process.env.NODE_PATH}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const client = await load('openid-client');

const issuer = process.argv[2];
const redirect_uri = 'http://localhost:1/auth/callback';
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function ask(question) {
  console.log(JSON.stringify(question));
  return JSON.parse((await answers.next()).value);
}

// Plain http is what a broker on loopback speaks; openid-client wants to be told that it may.
const plain = { execute: [client.allowInsecureRequests] };
const discover = (auth, options = {}) => client.discovery(
  new URL(issuer), 'sigstore', { token_endpoint_auth_method: 'none' }, auth ?? client.None(), { ...plain, ...options },
);

async function begin(config, more = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const expected = { state: client.randomState(), nonce: client.randomNonce() };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri, scope: 'openid email', state: expected.state, nonce: expected.nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  });
  const callback = new URL(await ask({ ask: 'visit', url: url.href }));
  return { callback, verifier, expected };
}

const grant = (config, { callback, verifier, expected }, more = {}) => client.authorizationCodeGrant(
  config, callback, {
    pkceCodeVerifier: verifier, expectedState: expected.state, expectedNonce: expected.nonce,
    idTokenExpected: true, maxAge: 300, ...more,
  },
);

/** The error, or one of its causes, is about this. */
const about = (text) => (error) => inspect(error, { depth: 5 }).includes(text);

const tests = {
  async 'a log-in, its token verified by the key set'() {
    const config = await discover();
    // Beside what it always checks, the signature of the ID token by the key set.
    client.enableNonRepudiationChecks(config);
    const tokens = await grant(config, await begin(config));
    const claims = tokens.claims();
    assert.equal(claims.iss, issuer);
    assert.equal(claims.email, 'you@example.com');
    assert.equal(claims.email_verified, true);
    const person = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
    assert.equal(person.email, 'you@example.com');
    await assert.rejects(client.fetchUserInfo(config, tokens.access_token, 'somebody else'), about("attribute: 'sub'"));
    await assert.rejects(client.fetchUserInfo(config, 'x', claims.sub), about('invalid_token'));
  },
  async 'client authentication: none, and basic with an empty secret'() {
    const basic = (server, metadata, body, headers) => {
      headers.set('authorization', `Basic ${btoa('sigstore:')}`);
    };
    for (const auth of [client.None(), basic]) {
      const config = await discover(auth);
      const tokens = await grant(config, await begin(config));
      assert.equal(tokens.claims().aud, 'sigstore');
    }
  },
  async 'a wrong secret'() {
    const wrong = [client.ClientSecretBasic('x'), client.ClientSecretPost('x')];
    for (const auth of wrong) {
      const config = await discover(auth);
      const begun = await begin(config);
      await assert.rejects(grant(config, begun), auth === wrong[0] ? about('status: 401') : about('invalid_client'));
    }
  },
  async 'a code twice'() {
    const config = await discover();
    const begun = await begin(config);
    await grant(config, begun);
    await assert.rejects(grant(config, begun), { error: 'invalid_grant', status: 400 });
  },
  async 'a wrong verifier'() {
    const config = await discover();
    const begun = await begin(config);
    const other = { ...begun, verifier: client.randomPKCECodeVerifier() };
    await assert.rejects(grant(config, other), { error: 'invalid_grant', status: 400 });
  },
  async 'an answer of another issuer'() {
    const config = await discover();
    const begun = await begin(config);
    begun.callback.searchParams.set('iss', 'https://evil.example');
    await assert.rejects(grant(config, begun), about('iss'));
  },
  async 'an answer without an issuer'() {
    const config = await discover();
    const begun = await begin(config);
    begun.callback.searchParams.delete('iss');
    // It knows from discovery that there must be one.
    await assert.rejects(grant(config, begun), about('iss'));
  },
  async 'an answer for another log-in'() {
    const config = await discover();
    const begun = await begin(config);
    await assert.rejects(grant(config, { ...begun, expected: { ...begun.expected, state: 'other' } }), about('state'));
    const again = await begin(config);
    await assert.rejects(grant(config, { ...again, expected: { ...again.expected, nonce: 'other' } }), about('nonce'));
  },
  async 'refusals come back as errors of the protocol'() {
    const config = await discover();
    for (const [more, error] of [
      [{ prompt: 'none' }, 'login_required'],
      [{ scope: 'email' }, 'invalid_scope'],
      [{ response_type: 'id_token' }, 'unsupported_response_type'],
      [{ code_challenge_method: 'plain' }, 'invalid_request'],
      [{ connector_id: 'https://nobody.example' }, 'invalid_request'],
    ]) {
      const begun = await begin(config, more);
      await assert.rejects(grant(config, begun), (e) => e.error === error, error);
    }
  },
  async 'another issuer than discovery says'() {
    const other = new URL(issuer.replace('localhost', '127.0.0.1'));
    await assert.rejects(client.discovery(other, 'sigstore', undefined, client.None(), plain));
  },
};

for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.error(`ok ${name}`);
  } catch (error) {
    console.error(`failed: ${name}`);
    throw error;
  }
}
process.exit(0);
