// Stand-ins for Google, GitHub, Microsoft, Facebook and a provider of bare OAuth 2.0, whose own pages
// cannot be had: their documented endpoints, with their quirks. platforms.mjs PORT CLIENT_SECRET
//
// Whoever logs in as NAME has the account NAME and the address NAME@example.com. Some names are
// accounts of which something is wrong, or at which the provider misbehaves: see ACCOUNTS. What it
// was told and what it gave away is at /seen, for a test that looks for secrets.
import { createServer } from 'node:http';
import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const [port, secret] = process.argv.slice(2);
const origin = `http://localhost:${port}`;
const TENANT = '72f988bf-86f1-41af-91ab-2d7cd011db47';
const OTHER_TENANT = '3aa4a235-b6e2-48d5-9195-7fcf05b459b0';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' };

const ACCOUNTS = `anna and any other name: good
  unverified: the address is not verified     nobody: there is no address
  stranger: an address at another domain      several: many addresses, the good one is not the first
  elsewhere: an account of another tenant     edov: the same, whose tenant owns its domain
  refuse: the person does not agree           echo-redirect, echo-token, echo-about: the provider
  repeats every secret that it knows in its error at that step, down: it answers with a page`;

const seen = [];
const tell = (name, value) => { if (value) seen.push([name, value]); };
const random = (prefix) => `${prefix}${randomBytes(24).toString('base64url')}`;
const codes = new Map();
const tokens = new Map();

function jwt(claims, broken) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', typ: 'JWT', kid: 'k1' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(broken ? `${text}x` : text), privateKey);
  return `${text}.${signature.toString('base64url')}`;
}

const domain = (name) => (name === 'stranger' ? 'elsewhere.example' : 'example.com');
const address = (name) => (name === 'nobody' ? undefined : `${name}@${domain(name)}`);
const everything = (...more) => [...seen.map(([, value]) => value), ...more].join(' ');

/** The platform that a path belongs to, by where its documentation puts it. */
function platform(path) {
  if (path.startsWith('/o/oauth2/') || path.startsWith('/google/')) return 'google';
  if (path.startsWith('/login/oauth/')) return 'github';
  if (path.startsWith('/dialog/') || path === '/oauth/access_token') return 'facebook';
  if (path.startsWith('/forge/')) return 'oauth2';
  return 'microsoft';
}

function openid(issuer, endpoints) {
  return {
    issuer, jwks_uri: `${origin}/keys`, response_types_supported: ['code'],
    subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid', 'email', 'profile'], ...endpoints,
  };
}

const json = (status, value) => ({ status, type: 'application/json', body: JSON.stringify(value) });
const html = (status, body) => ({ status, type: 'text/html; charset=utf-8', body });
const to = (url) => ({ status: 302, location: String(url), body: '' });
const attribute = (text) => String(text).replaceAll('&', '&amp;').replaceAll('"', '&quot;');

/** The log-in page: a name, and the person agrees. */
function logIn(path, query) {
  for (const name of ['state', 'nonce']) tell(`the ${name} at ${platform(path)}`, query.get(name));
  if (query.get('client_id') !== 'waxseal') return html(400, 'unknown client');
  const fields = { ...Object.fromEntries(query), path };
  const hidden = Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${attribute(value)}">`);
  return html(200, `<!doctype html><html lang="en"><title>${platform(path)}</title>
    <h1>Log in to ${platform(path)}</h1><form method="post" action="/agree">${hidden.join('')}
    <label>Account <input name="login"></label><button type="submit">Agree</button></form>`);
}

function agree(form) {
  const back = new URL(form.get('redirect_uri'));
  const state = form.get('state');
  back.searchParams.set('state', state);
  const of = platform(form.get('path'));
  if (of === 'google') back.searchParams.set('iss', origin);
  const login = form.get('login');
  if (login === 'refuse') {
    back.searchParams.set('error', 'access_denied');
    back.searchParams.set('error_description', 'The user has denied your application access.');
    return to(back);
  }
  if (login === 'echo-redirect') {
    back.searchParams.set('error', random('E'));
    tell('an error that is none', back.searchParams.get('error'));
    back.searchParams.set('error_description', everything(state));
    return to(back);
  }
  const code = random('Splxl');
  tell(`the code of ${of}`, code);
  codes.set(code, { login, of, ...Object.fromEntries(form) });
  back.searchParams.set('code', code);
  return to(back);
}

function giveTokens(path, form, authorization) {
  const of = platform(path);
  const basic = /^Basic (.*)$/.exec(authorization ?? '');
  const [, given] = basic ? Buffer.from(basic[1], 'base64').toString().split(':') : [, form.get('client_secret')];
  tell(`the verifier at ${of}`, form.get('code_verifier'));
  const visit = codes.get(form.get('code'));
  codes.delete(form.get('code'));
  // GitHub refuses with status 200, Facebook with an object.
  const refuse = (code, text) => {
    if (of === 'github') return json(200, { error: code, error_description: text });
    if (of === 'facebook') return json(400, { error: { message: text, type: code, code: 100, fbtrace_id: text } });
    return json(400, { error: code, error_description: text });
  };
  if (given && decodeURIComponent(given) !== secret) return refuse('invalid_client', 'wrong secret');
  if (!visit || visit.of !== of || visit.redirect_uri !== form.get('redirect_uri')) {
    return refuse('invalid_grant', 'no such code');
  }
  if (visit.code_challenge) {
    const made = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
    if (made !== visit.code_challenge) return refuse('invalid_grant', 'wrong verifier');
  }
  if (visit.login === 'echo-token') return refuse(form.get('code'), everything(secret, form.get('code')));
  if (visit.login === 'down') return html(503, `<h1>Down</h1>${everything(secret)}`);
  const access = random('gho_');
  const refresh = random('1--0');
  tell(`the access token of ${of}`, access);
  tell(`the refresh token of ${of}`, refresh);
  tokens.set(access, { of, login: visit.login });
  const answer = { access_token: access, token_type: 'bearer', expires_in: 3600, refresh_token: refresh };
  if (of === 'github') answer.scope = 'user:email';
  if (of === 'google' || of === 'microsoft') {
    const { login } = visit;
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: `id-${login}`, aud: 'waxseal', iat: now, exp: now + 3600, nonce: visit.nonce };
    if (of === 'google') Object.assign(claims, { iss: origin, email: address(login), email_verified: login !== 'unverified' });
    else {
      // Microsoft says nothing about verification, and in an app for all tenants each writes what it likes.
      const tid = ['elsewhere', 'edov'].includes(login) ? OTHER_TENANT : TENANT;
      Object.assign(claims, { iss: `${origin}/${tid}/v2.0`, tid, email: address(login) });
      if (login === 'edov') claims.xms_edov = true;
      if (login === 'unverified') claims.xms_edov = false;
    }
    answer.id_token = jwt(claims, login === 'echo-about');
    tell(`the ID token of ${of}`, answer.id_token);
  }
  return json(200, answer);
}

function about(path, query, authorization) {
  const access = /^Bearer (.*)$/.exec(authorization ?? '')?.[1];
  const token = tokens.get(access);
  if (!token) return json(401, { message: 'Bad credentials' });
  const { login, of } = token;
  if (login === 'echo-about') return json(500, { message: everything(access), error: access });
  const id = createHash('sha256').update(login).digest().readUInt32BE();
  if (of === 'facebook') {
    const proof = createHmac('sha256', secret).update(access).digest('hex');
    tell('the proof for facebook', proof);
    if (query.get('appsecret_proof') !== proof) return json(400, { error: { message: 'no proof', code: 100 } });
    return json(200, { id: String(id), email: address(login) });
  }
  if (of === 'oauth2') {
    return json(200, { id, mail: address(login), confirmed: login !== 'unverified' });
  }
  // What the profile shows is what its owner writes there.
  if (path === '/api/v3/user') return json(200, { id, login, email: 'ceo@example.com' });
  const main = { email: address(login), primary: true, verified: login !== 'unverified' };
  const more = [
    { email: `${id}+${login}@users.noreply.github.com`, primary: false, verified: true },
    { email: 'old@example.com', primary: false, verified: true },
  ];
  return json(200, { nobody: [], several: [...more, main] }[login] ?? [main, ...more]);
}

function answer(method, url, form, authorization) {
  const path = url.pathname;
  if (path === '/seen') return json(200, seen);
  if (path === '/accounts') return html(200, `<pre>${ACCOUNTS}</pre>`);
  if (path === '/keys') return json(200, { keys: [jwk] });
  if (path === '/.well-known/openid-configuration') {
    return json(200, openid(origin, {
      authorization_endpoint: `${origin}/o/oauth2/v2/auth`, token_endpoint: `${origin}/google/token`,
      code_challenge_methods_supported: ['plain', 'S256'], authorization_response_iss_parameter_supported: true,
    }));
  }
  const tenant = /^\/([0-9a-f-]{36})\/v2\.0\/\.well-known\/openid-configuration$/.exec(path)?.[1];
  if (tenant) {
    return json(200, openid(`${origin}/${tenant}/v2.0`, {
      authorization_endpoint: `${origin}/${tenant}/oauth2/v2.0/authorize`,
      token_endpoint: `${origin}/${tenant}/oauth2/v2.0/token`,
    }));
  }
  if (path === '/agree' && method === 'POST') return agree(form);
  if (method === 'POST') return giveTokens(path, form, authorization);
  if (['/api/v3/user', '/api/v3/user/emails', '/me', '/forge/me'].includes(path)) {
    return about(path, url.searchParams, authorization);
  }
  if (url.searchParams.has('response_type')) return logIn(path, url.searchParams);
  return html(404, 'nothing is here');
}

createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const url = new URL(request.url, origin);
  const found = answer(request.method, url, new URLSearchParams(body), request.headers.authorization);
  if (found.location) response.setHeader('location', found.location);
  if (found.type) response.setHeader('content-type', found.type);
  response.writeHead(found.status).end(found.body);
}).listen(Number(port), '127.0.0.1', () => console.log('listening'));
