// Signs a file with sigstore-js: node sign.cjs message|attest CONFIG_JSON TOKEN_FILE ARTIFACT BUNDLE_OUT
// An attestation takes an in-toto statement as its artifact.
'use strict';
const fs = require('node:fs');
const { bundleBuilderFromSigningConfig } = require('@sigstore/sign');
const { bundleToJSON } = require('@sigstore/bundle');
const { SigningConfig } = require('@sigstore/protobuf-specs');

const [kind, configPath, tokenPath, artifactPath, bundlePath] = process.argv.slice(2);

async function main() {
  const token = fs.readFileSync(tokenPath, 'utf8').trim();
  const builder = bundleBuilderFromSigningConfig({
    bundleType: kind === 'attest' ? 'dsseEnvelope' : 'messageSignature',
    signingConfig: SigningConfig.fromJSON(JSON.parse(fs.readFileSync(configPath, 'utf8'))),
    identityProvider: { getToken: async () => token },
    fetchOptions: { timeout: 20000, retry: { retries: 0 } },
  });
  const data = fs.readFileSync(artifactPath);
  const artifact = kind === 'attest' ? { data, type: 'application/vnd.in-toto+json' } : { data };
  const bundle = await builder.create(artifact);
  fs.writeFileSync(bundlePath, JSON.stringify(bundleToJSON(bundle)));
}

main().catch((error) => {
  console.error(error && error.stack ? error.stack : error);
  if (error && error.cause) console.error('cause:', error.cause);
  process.exit(1);
});
