// A provider of OpenID Connect that others wrote, oidc-provider, with its own log-in pages:
// upstream.mjs PORT REDIRECT_URI CLIENT_SECRET
//
// Whoever logs in as NAME has the address NAME@example.com; `unverified` has one that is not
// verified, `nobody` has none, and `stranger` has one at another domain.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.NODE_PATH}/`);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const [port, redirect, secret] = process.argv.slice(2);

function claims(name) {
  if (name === 'nobody') return { sub: name };
  const domain = name === 'stranger' ? 'elsewhere.example' : 'example.com';
  return { sub: name, email: `${name}@${domain}`, email_verified: name !== 'unverified' };
}

const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: 'waxseal', client_secret: secret, redirect_uris: [redirect],
    response_types: ['code'], grant_types: ['authorization_code'],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: [secret] },
  findAccount: async (ctx, name) => ({ accountId: name, claims: async () => claims(name) }),
});
provider.on('server_error', (ctx, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
