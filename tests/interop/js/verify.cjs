// Verifies a bundle with sigstore-js: node verify.cjs TRUSTED_ROOT_JSON BUNDLE IDENTITY ISSUER [ARTIFACT]
'use strict';
const fs = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const [rootPath, bundlePath, identity, issuer, artifactPath] = process.argv.slice(2);
const escaped = identity.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const root = TrustedRoot.fromJSON(JSON.parse(fs.readFileSync(rootPath, 'utf8')));
const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(bundlePath, 'utf8')));
const data = artifactPath ? fs.readFileSync(artifactPath) : undefined;
new Verifier(toTrustMaterial(root)).verify(toSignedEntity(bundle, data), {
  subjectAlternativeName: `^${escaped}$`,
  extensions: { issuer },
});
console.log('verified');
