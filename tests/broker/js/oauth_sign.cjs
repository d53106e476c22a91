// Signs a file with sigstore-js, logged in by its own OAuth provider, which opens a browser:
// oauth_sign.cjs SIGNING_CONFIG ISSUER ARTIFACT BUNDLE
'use strict';
const fs = require('node:fs');
const { createRequire } = require('node:module');
// The command line's own copy of the library, which may be another version than its neighbours'.
const command = createRequire(require.resolve('@sigstore/cli/package.json'));
const { OAuthIdentityProvider } = command('@sigstore/cli/dist/oauth');
const { bundleBuilderFromSigningConfig } = command('@sigstore/sign');
const { bundleToJSON } = command('@sigstore/bundle');
const { SigningConfig } = command('@sigstore/protobuf-specs');

const [config, issuer, artifact, output] = process.argv.slice(2);

async function main() {
  const builder = bundleBuilderFromSigningConfig({
    bundleType: 'messageSignature',
    signingConfig: SigningConfig.fromJSON(JSON.parse(fs.readFileSync(config, 'utf8'))),
    identityProvider: new OAuthIdentityProvider({ issuer, clientID: 'sigstore' }),
    fetchOptions: { timeout: 20000, retry: { retries: 0 } },
  });
  const bundle = await builder.create({ data: fs.readFileSync(artifact) });
  fs.writeFileSync(output, JSON.stringify(bundleToJSON(bundle)));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
