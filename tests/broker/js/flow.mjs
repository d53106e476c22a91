// A person at a real browser: flow.mjs SETUP_JSON
//
// It goes through one flow of the broker's pages in Chromium, and on every page it asks: does axe
// find anything, does the page fit at both widths, in light and dark, does it need a script, does
// it load anything from elsewhere, does the browser complain? Questions to the test (a mailed code,
// time that goes by) are lines of JSON on stdout; answers come on stdin.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createHash, randomBytes } from 'node:crypto';
import assert from 'node:assert/strict';

const setup = JSON.parse(process.argv[2]);
const require = createRequire(`${process.env.NODE_PATH}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function ask(question) {
  console.log(JSON.stringify(question));
  const { value } = await answers.next();
  return JSON.parse(value);
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const WIDTHS = [[390, 844], [1280, 800]];
const SCHEMES = ['light', 'dark'];
const seen = new Set();

const browser = await chromium.launch({
  executablePath: setup.chromium,
  args: ['--no-sandbox', '--disable-gpu'],
});
const problems = [];

/** A browser of its own: cookies, no history. */
async function person(script = setup.script) {
  const context = await browser.newContext({ javaScriptEnabled: script });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  // What a provider's own pages load and say is its own affair.
  const ours = (url) => !url || url.startsWith(new URL(setup.issuer).origin);
  await context.route((url) => !LOOPBACK.includes(url.hostname), (route) => route.abort());
  page.on('console', (message) => {
    const text = message.text();
    if (!ours(message.location().url) || !ours(page.url())) return;
    // The browser tells of every status of 400 and more: those are answers, not complaints.
    if (['error', 'warning'].includes(message.type()) && !/Failed to load resource.*status of/.test(text)) {
      problems.push(`console: ${text}`);
    }
  });
  page.on('pageerror', (error) => problems.push(`page error: ${error}`));
  page.on('request', (request) => {
    const host = new URL(request.url()).hostname;
    if (ours(page.url()) && !LOOPBACK.includes(host)) problems.push(`elsewhere: ${request.url()}`);
  });
  return page;
}

/** What must be true of every page, at both widths, in light and dark. */
async function inspect(page, name) {
  const where = `${setup.name}/${name}`;
  if (seen.has(name)) return;
  seen.add(name);
  assert.equal(await page.locator('script').count(), 0, `${where} has a script`);
  assert.equal(await page.locator('[style], style').count(), 0, `${where} has an inline style`);
  assert.equal(await page.locator('h1').count(), 1, `${where} has one heading`);
  // What a browser of text alone needs: forms with a button of their own, links with words, and
  // nothing that only a picture says.
  assert.equal(await page.locator('form:not(:has(button[type=submit]))').count(), 0, `${where}: no button`);
  assert.equal(await page.locator('img, svg, canvas, iframe').count(), 0, `${where} has a picture`);
  for (const text of await page.locator('a[href], button').allInnerTexts()) assert.ok(text.trim(), `${where}: empty`);
  for (const [width, height] of WIDTHS) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      if (setup.pictures) {
        const path = `${setup.pictures}/${setup.name}-${name}-${width}-${colorScheme}.png`;
        await page.screenshot({ path, fullPage: true });
      }
      if (!setup.script) continue;
      const found = await page.evaluate(async ([source, scheme]) => {
        if (!window.axe) (0, window.Function)(source).call(window);
        const { violations, passes } = await window.axe.run(document, { resultTypes: ['violations'] });
        return {
          violations: violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`),
          passes: passes.length,
          overflow: document.documentElement.scrollWidth - window.innerWidth,
          scheme: window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light',
        };
      }, [axe, colorScheme]).catch((error) => ({ violations: [String(error)], passes: 0, overflow: 0 }));
      assert.deepEqual(found.violations, [], `axe on ${where} at ${width}, ${colorScheme}`);
      assert.ok(found.passes > 5, `axe looked at ${where}`);
      assert.ok(found.overflow <= 0, `${where} is ${found.overflow} px too wide at ${width}`);
      assert.equal(found.scheme, colorScheme);
    }
  }
}

/** A program that logs somebody in, as sigstore clients do: it listens for the redirect. */
async function program() {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('hex');
  const arrived = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname === '/auth/callback') arrived.push(url.searchParams);
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><html lang="en"><title>Done</title><link rel="icon" href="data:,"><h1>Done</h1>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const redirect = `http://localhost:${server.address().port}/auth/callback`;
  const url = (changes = {}) => {
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const query = new URLSearchParams({
      response_type: 'code', client_id: 'sigstore', redirect_uri: redirect, scope: 'openid email',
      state, nonce: 'n', code_challenge: challenge, code_challenge_method: 'S256', ...changes,
    });
    return `${setup.issuer}/auth?${query}`;
  };
  const exchange = async (code, redirect_uri = redirect) => {
    const body = new URLSearchParams({
      grant_type: 'authorization_code', client_id: 'sigstore', code, redirect_uri, code_verifier: verifier,
    });
    return fetch(`${setup.issuer}/token`, { method: 'POST', body });
  };
  return { url, exchange, arrived, state, close: () => server.close() };
}

const OOB = 'urn:ietf:wg:oauth:2.0:oob';
const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
const alert = (page) => page.getByRole('alert').innerText();
const heading = (page) => page.locator('h1').innerText();

async function enterAddress(page, address = 'you@example.com') {
  await page.getByLabel('E-mail address').fill(address);
  await page.locator('form', { has: page.getByLabel('E-mail address') }).getByRole('button').click();
}

async function enterCode(page, code) {
  await page.getByLabel('Code (eight digits)').fill(code);
  await press(page, 'Log in');
}

const mailed = (address = 'you@example.com') => ask({ ask: 'code', address });
const pass = (seconds) => ask({ ask: 'advance', seconds });
const wrong = (code) => String((Number(code) + 1) % 100_000_000).padStart(8, '0');

async function expectToken(client, code, address = 'you@example.com', redirect = undefined) {
  const answer = await client.exchange(code, redirect);
  assert.equal(answer.status, 200, await answer.clone().text());
  const token = claims((await answer.json()).id_token);
  assert.equal(token.email, address);
  assert.equal(token.email_verified, true);
  return token;
}

/** The program has its answer, and the browser shows the program's own page. */
async function arrives(page, client) {
  await page.getByRole('heading', { name: 'Done' }).waitFor();
  assert.equal(client.arrived.length, 1);
  const [answer] = client.arrived;
  assert.equal(answer.get('state'), client.state);
  assert.equal(answer.get('iss'), setup.issuer);
  return answer;
}

const flows = {
  async control() {
    // What inspects the pages finds what is wrong with one.
    const page = await person();
    const find = async (name, spoil, expected) => {
      await page.goto((await program()).url());
      await page.evaluate(spoil);
      await assert.rejects(inspect(page, name), expected);
    };
    await find('label', () => document.querySelector('label').remove(), /axe on .*label/s);
    await find('language', () => document.documentElement.removeAttribute('lang'), /html-has-lang/);
    await find('script', () => document.head.append(document.createElement('script')), /has a script/);
    await find('wide', () => { const p = document.querySelector('p'); p.textContent = 'w'.repeat(500); }, /too wide/);
  },

  async redirect() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    assert.equal(await heading(page), 'Log in');
    await inspect(page, 'address');
    await enterAddress(page);
    assert.equal(await heading(page), 'Enter the code');
    await inspect(page, 'code');
    const code = await mailed();
    // Grouped, as the mail shows it.
    await enterCode(page, `${code.slice(0, 4)} ${code.slice(4)}`);
    const answer = await arrives(page, client);
    await expectToken(client, answer.get('code'));
    client.close();
  },

  async keyboard() {
    // Without a mouse: Tab reaches each control in reading order, Enter sends.
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    const focused = async (steps) => {
      for (let i = 0; i < steps; i += 1) {
        await page.keyboard.press('Tab');
        const label = await page.locator(':focus').evaluate((e) => e.labels?.[0]?.innerText ?? e.innerText);
        if (label === 'E-mail address' || label === 'Code (eight digits)') return;
      }
      assert.fail('Tab does not reach the field');
    };
    await focused(5);
    await page.keyboard.type('you@example.com');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Enter the code' }).waitFor();
    await focused(5);
    await page.keyboard.type(await mailed());
    await page.keyboard.press('Enter');
    await expectToken(client, (await arrives(page, client)).get('code'));
    client.close();
  },

  async hint() {
    const client = await program();
    const page = await person();
    await page.goto(client.url({ login_hint: 'Somebody+else@example.com' }));
    assert.equal(await page.getByLabel('E-mail address').inputValue(), 'Somebody+else@example.com');
    await press(page, (await page.locator('form button').first().innerText()));
    await enterCode(page, await mailed('Somebody+else@example.com'));
    await expectToken(client, (await arrives(page, client)).get('code'), 'Somebody+else@example.com');
    client.close();
  },

  async out_of_band() {
    const client = await program();
    const page = await person();
    await page.goto(client.url({ redirect_uri: OOB }));
    await enterAddress(page);
    assert.match(await page.locator('.notice').last().innerText(), /Go on only if you started it yourself/);
    await inspect(page, 'code');
    await enterCode(page, await mailed());
    assert.equal(await heading(page), 'You are logged in');
    await inspect(page, 'copy');
    const copied = await page.getByLabel('Code for the program').inputValue();
    await expectToken(client, copied, undefined, OOB);
    // Going back shows no second code (CVE-2022-39222).
    await page.goBack();
    assert.equal(await page.getByLabel('Code for the program').count(), 0);
    client.close();
  },

  async wrong_code() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await enterAddress(page);
    const code = await mailed();
    await enterCode(page, 'abc');
    assert.match(await alert(page), /eight digits/);
    await inspect(page, 'no-code');
    for (const left of [4, 3, 2, 1]) {
      await enterCode(page, wrong(code));
      assert.match(await alert(page), new RegExp(`Attempts left: ${left}`));
      if (left === 4) await inspect(page, 'wrong');
    }
    await enterCode(page, wrong(code));
    assert.match(await alert(page), /last attempt/);
    await inspect(page, 'last');
    // Nothing that is typed can count, so nothing can be typed; another code helps.
    assert.equal(await page.getByLabel('Code (eight digits)').count(), 0);
    await pass(31);
    await page.getByRole('button', { name: /another code/ }).click();
    await enterCode(page, await mailed());
    await expectToken(client, (await arrives(page, client)).get('code'));
    client.close();
  },

  async second_code() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await enterAddress(page);
    const first = await mailed();
    await pass(31);
    await page.getByRole('button', { name: /another code/ }).click();
    const second = await mailed();
    assert.notEqual(first, second);
    await enterCode(page, first);
    assert.match(await alert(page), /This is not the code/);
    await enterCode(page, second);
    await expectToken(client, (await arrives(page, client)).get('code'));
    client.close();
  },

  async another_address() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await enterAddress(page, 'typo@example.com');
    await page.getByRole('link', { name: 'Use another address' }).click();
    await enterAddress(page, 'you@example.com');
    await enterCode(page, await mailed());
    await expectToken(client, (await arrives(page, client)).get('code'));
    client.close();
  },

  async expired() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await enterAddress(page);
    const code = await mailed();
    await pass(601);
    await enterCode(page, code);
    assert.match(await alert(page), /too old/);
    await inspect(page, 'code');
    await pass(601);
    await enterAddress(page);
    assert.equal(await heading(page), 'No log-in');
    assert.match(await alert(page), /older than/);
    await inspect(page, 'login');
    client.close();
  },

  async cancelled() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await press(page, 'Cancel');
    const answer = await arrives(page, client);
    assert.equal(answer.get('error'), 'access_denied');
    assert.equal(answer.get('code'), null);
    const other = await person();
    await other.goto(client.url({ redirect_uri: OOB }));
    await press(other, 'Cancel');
    assert.equal(await heading(other), 'No log-in');
    await inspect(other, 'out-of-band');
    client.close();
  },

  async other_browser() {
    const client = await program();
    const [page, other] = [await person(), await person()];
    await page.goto(client.url());
    await enterAddress(page);
    const code = await mailed();
    await other.goto(page.url());
    assert.equal(await heading(other), 'No log-in');
    assert.match(await alert(other), /another browser/);
    await inspect(other, 'refused');
    await enterCode(page, code);
    await arrives(page, client);
    client.close();
  },

  async bad_address() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    // The browser's own check lets this one pass.
    await enterAddress(page, 'you..too@example.com');
    assert.match(await alert(page), /not an e-mail address that can be used here/);
    await inspect(page, 'refused');
    client.close();
  },

  async bad_requests() {
    const client = await program();
    const page = await person();
    for (const [name, changes] of [
      ['redirect', { redirect_uri: 'https://evil.example/' }],
      ['client', { client_id: 'other' }],
      ['long', { login_hint: 'x'.repeat(20_000) }],
    ]) {
      await page.goto(client.url(changes));
      assert.equal(await heading(page), 'No log-in');
      await inspect(page, name);
    }
    client.close();
  },

  async too_many() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await enterAddress(page);
    const code = await mailed();
    await page.getByRole('button', { name: /another code/ }).click();
    assert.match(await alert(page), /Too many codes/);
    await inspect(page, 'codes');
    // The first one still counts, and can be typed here.
    await enterCode(page, code);
    await expectToken(client, (await arrives(page, client)).get('code'));
    client.close();
  },

  async two_tabs() {
    // Two log-ins in one browser, finished crosswise.
    const clients = [await program(), await program()];
    const first = await person();
    const second = await first.context().newPage();
    await first.goto(clients[0].url());
    await second.goto(clients[1].url());
    await enterAddress(first, 'a@example.com');
    await enterAddress(second, 'b@example.com');
    await enterCode(second, await mailed('b@example.com'));
    await enterCode(first, await mailed('a@example.com'));
    await expectToken(clients[1], (await arrives(second, clients[1])).get('code'), 'b@example.com');
    await expectToken(clients[0], (await arrives(first, clients[0])).get('code'), 'a@example.com');
    for (const client of clients) client.close();
  },
};

/** A device that has no browser. */
async function device(changes = {}) {
  const verifier = randomBytes(32).toString('base64url');
  const post = async (path, form) => {
    const answer = await fetch(`${setup.issuer}${path}`, { method: 'POST', body: new URLSearchParams(form) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const codes = await post('/device/code', {
    client_id: 'sigstore', scope: 'openid email', code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), ...changes,
  });
  assert.equal(codes.status, 200, JSON.stringify(codes));
  const poll = async () => {
    await pass(codes.interval + 1);
    return post('/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id: 'sigstore',
      device_code: codes.device_code, code_verifier: verifier,
    });
  };
  return { ...codes, poll };
}

async function agree(page, codes) {
  await page.goto(codes.verification_uri_complete);
  assert.equal(await page.getByLabel(/Code from the device/).inputValue(), codes.user_code);
  await press(page, 'Continue');
  assert.equal(await heading(page), 'Who asks?');
}

/** The log-in page of the provider above, which others wrote. */
async function logInUpstream(page, name) {
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await consentUpstream(page);
}

/** Its second page; the first has a button of the same kind. */
async function consentUpstream(page) {
  await page.locator('input[name=prompt][value=consent]').waitFor({ state: 'attached' });
  await page.locator('button[type=submit]').click();
}

const toUpstream = (page) => page.getByRole('link', { name: 'Log in with Example ID' }).click();

Object.assign(flows, {
  async device() {
    const codes = await device();
    assert.equal((await codes.poll()).error, 'authorization_pending');
    const page = await person();
    await page.goto(codes.verification_uri_complete);
    await inspect(page, 'link');
    await press(page, 'Continue');
    await inspect(page, 'who');
    assert.match(await alert(page), /Go on only if you started this yourself/);
    // Nothing has happened by looking.
    assert.equal((await codes.poll()).error, 'authorization_pending');
    await press(page, 'I started this: continue');
    await enterAddress(page);
    await enterCode(page, await mailed());
    assert.equal(await heading(page), 'You are logged in');
    await inspect(page, 'done');
    const tokens = await codes.poll();
    assert.equal(claims(tokens.id_token).email, 'you@example.com');
    assert.equal((await codes.poll()).error, 'invalid_grant');
    // The shown code is used up too.
    await page.goto(codes.verification_uri_complete);
    await press(page, 'Continue');
    assert.match(await alert(page), /waits no longer/);
    await inspect(page, 'over');
  },

  async device_typed() {
    const codes = await device();
    const page = await person();
    await page.goto(codes.verification_uri);
    await inspect(page, 'empty');
    await page.getByLabel(/Code from the device/).fill('BBBB-BBBB');
    await press(page, 'Continue');
    assert.ok(await alert(page));
    await inspect(page, 'wrong');
    await page.getByLabel(/Code from the device/).fill(codes.user_code.replace('-', ' ').toLowerCase());
    await press(page, 'Continue');
    await press(page, 'I started this: continue');
    await enterAddress(page);
    await enterCode(page, await mailed());
    assert.equal(claims((await codes.poll()).id_token).email, 'you@example.com');
  },

  async device_refused() {
    const codes = await device();
    const page = await person();
    await agree(page, codes);
    await press(page, 'Refuse');
    assert.equal(await heading(page), 'Refused');
    await inspect(page, 'refused');
    assert.equal((await codes.poll()).error, 'access_denied');
  },

  async device_cancelled() {
    const codes = await device();
    const page = await person();
    await agree(page, codes);
    await press(page, 'I started this: continue');
    await press(page, 'Cancel');
    assert.equal((await codes.poll()).error, 'access_denied');
    await inspect(page, 'cancelled');
  },

  async device_expired() {
    const codes = await device();
    const page = await person();
    await pass(601);
    await page.goto(codes.verification_uri_complete);
    await press(page, 'Continue');
    assert.ok(await alert(page));
    await inspect(page, 'expired');
    assert.equal((await codes.poll()).error, 'expired_token');
  },

  async device_upstream() {
    const codes = await device();
    const page = await person();
    await agree(page, codes);
    await press(page, 'I started this: continue');
    await inspect(page, 'choice');
    await toUpstream(page);
    await logInUpstream(page, 'anna');
    await inspect(page, 'confirm');
    await press(page, 'Go on');
    assert.equal(await heading(page), 'You are logged in');
    assert.equal(claims((await codes.poll()).id_token).email, 'anna@example.com');
  },

  async upstream() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    assert.equal(await heading(page), 'Log in');
    await inspect(page, 'choice');
    await toUpstream(page);
    await logInUpstream(page, 'anna');
    assert.equal(await heading(page), 'Is that you?');
    assert.match(await page.locator('main').innerText(), /sign as anna@example.com, by Example ID/);
    await inspect(page, 'confirm');
    assert.equal(client.arrived.length, 0, 'the program learns nothing before');
    await press(page, 'Go on');
    const answer = await arrives(page, client);
    const token = await expectToken(client, answer.get('code'), 'anna@example.com');
    assert.equal(token.federated_claims.connector_id, setup.upstream);
    client.close();
  },

  async upstream_chosen() {
    // The program has chosen, and the person sees no choice.
    const client = await program();
    const page = await person();
    await page.goto(client.url({ connector_id: setup.upstream }));
    await logInUpstream(page, 'anna');
    await press(page, 'Go on');
    await expectToken(client, (await arrives(page, client)).get('code'), 'anna@example.com');
    client.close();
  },

  async upstream_code() {
    const client = await program();
    const page = await person();
    await page.goto(client.url({ redirect_uri: OOB }));
    await toUpstream(page);
    await logInUpstream(page, 'anna');
    assert.match(await page.locator('.notice').first().innerText(), /Go on only if you started it yourself/);
    await inspect(page, 'confirm');
    await press(page, 'Go on');
    const copied = await page.locator('#code').evaluate((e) => e.value ?? e.innerText);
    await expectToken(client, copied, 'anna@example.com', OOB);
    client.close();
  },

  async upstream_refusals() {
    const client = await program();
    const page = await person();
    for (const [name, said] of [
      ['unverified', /does not say that your e-mail address is verified/],
      ['nobody', /gives no e-mail address|does not say that/],
      ['stranger', /not one that may log in here/],
    ]) {
      const other = await person();
      await other.goto(client.url());
      await toUpstream(other);
      await logInUpstream(other, name);
      assert.equal(await heading(other), 'No log-in');
      assert.match(await alert(other), said);
      await inspect(other, name);
      await other.getByRole('link', { name: 'Log in another way' }).click();
      assert.equal(await heading(other), 'Log in');
    }
    // The other way is still there.
    await page.goto(client.url());
    await page.getByRole('link', { name: 'Log in with a code by e-mail' }).click();
    await inspect(page, 'address');
    await enterAddress(page);
    await inspect(page, 'code');
    await enterCode(page, await mailed());
    await expectToken(client, (await arrives(page, client)).get('code'));
    client.close();
  },

  async upstream_cancelled() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await toUpstream(page);
    await page.getByRole('link', { name: /cancel/i }).click();
    assert.equal(await heading(page), 'No log-in');
    assert.match(await alert(page), /did not agree/);
    await inspect(page, 'denied');
    await page.getByRole('link', { name: 'Try again' }).click();
    await logInUpstream(page, 'anna');
    await press(page, 'Go on');
    await expectToken(client, (await arrives(page, client)).get('code'), 'anna@example.com');
    client.close();
  },

  async upstream_other_browser() {
    // The provider's answer in a browser that did not ask for it.
    const client = await program();
    const [page, other] = [await person(), await person()];
    await page.goto(client.url());
    await toUpstream(page);
    await page.locator('input[name=login]').fill('anna');
    await page.locator('input[name=password]').fill('any');
    await page.locator('button[type=submit]').click();
    // Its consent page, sent by hand: redirects are read, not followed.
    await page.locator('input[name=prompt][value=consent]').waitFor({ state: 'attached' });
    const action = await page.locator('form').first().getAttribute('action');
    const { request } = page.context();
    const read = { maxRedirects: 0 };
    const agreed = await request.post(new URL(action, page.url()).href, { form: { prompt: 'consent' }, ...read });
    const resumed = await request.get(new URL(agreed.headers().location, page.url()).href, read);
    const callback = resumed.headers().location;
    assert.match(callback, /\/callback\/oidc\?code=/);
    await other.goto(callback);
    assert.equal(await heading(other), 'No log-in');
    await inspect(other, 'stolen');
    assert.equal(client.arrived.length, 0);
    // Its owner goes on.
    await page.goto(callback);
    assert.equal(await heading(page), 'Is that you?');
    assert.equal(client.arrived.length, 0);
    client.close();
  },

  async upstream_absent() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await toUpstream(page);
    assert.equal(await heading(page), 'No log-in');
    assert.match(await alert(page), /does not answer this instance.*try again in a minute/s);
    await inspect(page, 'absent');
    await page.getByRole('link', { name: 'Log in another way' }).click();
    await page.getByRole('link', { name: 'Log in with a code by e-mail' }).click();
    await enterAddress(page);
    await enterCode(page, await mailed());
    await expectToken(client, (await arrives(page, client)).get('code'));
    client.close();
  },
});

/** The stand-ins for the platforms: js/platforms.mjs. */
const PLATFORMS = [
  ['Google', 'https://accounts.google.com'],
  ['GitHub', 'https://github.com/login/oauth'],
  ['Microsoft', 'https://login.microsoftonline.com'],
  ['Microsoft, any tenant', 'https://login.microsoftonline.com/common'],
  ['Facebook', 'https://www.facebook.com'],
  ['Example forge', 'https://forge.example.com'],
];

async function logInAt(page, label, account) {
  await page.getByRole('link', { name: `Log in with ${label}`, exact: true }).click();
  await page.getByLabel('Account').fill(account);
  await press(page, 'Agree');
}

/** Goes to a platform as somebody, and reads why that is no log-in. */
async function refusedAt(label, account, said, name) {
  const client = await program();
  const page = await person();
  await page.goto(client.url());
  await logInAt(page, label, account);
  assert.equal(await heading(page), 'No log-in', `${account} at ${label}`);
  assert.match(await alert(page), said, `${account} at ${label}`);
  if (name) await inspect(page, name);
  assert.equal(client.arrived.length, 0);
  // There is a way on from every error.
  assert.equal(await page.getByRole('link', { name: 'Try again' }).count(), 1);
  await page.getByRole('link', { name: 'Log in another way' }).click();
  assert.equal(await heading(page), 'Log in');
  client.close();
  await page.context().close();
}

/** A whole log-in at a platform that vouches for the address. */
async function logInThere(label, id, account) {
  const client = await program();
  const page = await person();
  await page.goto(client.url());
  await logInAt(page, label, account);
  assert.equal(await heading(page), 'Is that you?');
  assert.match(await page.locator('main').innerText(), new RegExp(`sign as ${account}@example.com, by ${label}`));
  await inspect(page, `confirm-${label}`);
  await press(page, 'Go on');
  const token = await expectToken(client, (await arrives(page, client)).get('code'), `${account}@example.com`);
  assert.equal(token.federated_claims.connector_id, id);
  client.close();
  await page.context().close();
  return token;
}

Object.assign(flows, {
  async platform_choice() {
    // Every platform has its button, in the order of the configuration.
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await inspect(page, 'choice');
    const buttons = await page.locator('.ways a').allInnerTexts();
    const expected = PLATFORMS.map(([label]) => `Log in with ${label}`);
    assert.deepEqual(buttons, [...expected, 'Log in with a code by e-mail']);
    client.close();
  },

  async google() {
    await logInThere('Google', 'https://accounts.google.com', 'anna');
    await refusedAt('Google', 'unverified', /does not say that your e-mail address is verified/, 'unverified');
    await refusedAt('Google', 'nobody', /gives no e-mail address/, 'nobody');
    await refusedAt('Google', 'stranger', /not one that may log in here/, 'stranger');
    await refusedAt('Google', 'refuse', /did not agree/, 'refuse');
    await refusedAt('Google', 'echo-token', /refuses log-ins from here/, 'fault');
    await refusedAt('Google', 'down', /does not answer this instance.*try again in a minute/s, 'down');
  },

  async github() {
    await logInThere('GitHub', 'https://github.com/login/oauth', 'anna');
    await logInThere('GitHub', 'https://github.com/login/oauth', 'several');
    await refusedAt('GitHub', 'unverified', /does not say that your e-mail address is verified/, 'unverified');
    await refusedAt('GitHub', 'nobody', /gives no e-mail address/, 'nobody');
    await refusedAt('GitHub', 'refuse', /did not agree/);
    await refusedAt('GitHub', 'echo-token', /refuses log-ins from here/);
  },

  async microsoft() {
    const one = await logInThere('Microsoft', 'https://login.microsoftonline.com', 'anna');
    // The tenant's own word is "no".
    await refusedAt('Microsoft', 'unverified', /does not say that your e-mail address is verified/, 'unverified');
    await refusedAt('Microsoft', 'nobody', /gives no e-mail address/);
    // Another tenant's token is not taken at all.
    await refusedAt('Microsoft', 'elsewhere', /./, 'tenant');
    // Where every tenant may come, each writes what it likes, unless it owns the domain.
    const label = 'Microsoft, any tenant';
    await refusedAt(label, 'anna', /does not say that your e-mail address is verified/);
    await refusedAt(label, 'elsewhere', /does not say that your e-mail address is verified/);
    const any = await logInThere(label, 'https://login.microsoftonline.com/common', 'edov');
    assert.notEqual(one.sub, any.sub);
  },

  async facebook() {
    const id = 'https://www.facebook.com';
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await logInAt(page, 'Facebook', 'anna');
    // Facebook's word for an address counts for nothing: it is filled in, and our code confirms it.
    assert.match(await page.locator('main').innerText(), /You are logged in at Facebook.*Confirm yours once/s);
    assert.equal(await page.getByLabel('E-mail address').inputValue(), 'anna@example.com');
    await inspect(page, 'address');
    await enterAddress(page, 'anna@example.com');
    await inspect(page, 'code');
    const code = await mailed('anna@example.com');
    await enterCode(page, wrong(code));
    assert.match(await alert(page), /Attempts left: 4/);
    assert.equal(client.arrived.length, 0);
    await enterCode(page, code);
    const first = await expectToken(client, (await arrives(page, client)).get('code'), 'anna@example.com');
    assert.equal(first.federated_claims.connector_id, id);
    client.close();
    // The link is kept: from now on the account is enough, in any browser.
    for (let time = 0; time < 2; time += 1) {
      const again = await logInThere('Facebook', id, 'anna');
      assert.equal(again.sub, first.sub);
    }
    // The same address by a code alone is somebody else (never merged).
    const mail = await program();
    const other = await person();
    await other.goto(mail.url());
    await other.getByRole('link', { name: 'Log in with a code by e-mail' }).click();
    await pass(31);
    await enterAddress(other, 'anna@example.com');
    await enterCode(other, await mailed('anna@example.com'));
    const token = await expectToken(mail, (await arrives(other, mail)).get('code'), 'anna@example.com');
    assert.notEqual(token.sub, first.sub);
    mail.close();
  },

  async facebook_without_email() {
    const client = await program();
    const page = await person();
    await page.goto(client.url());
    await logInAt(page, 'Facebook', 'nobody');
    assert.equal(await page.getByLabel('E-mail address').inputValue(), '');
    await inspect(page, 'address');
    await enterAddress(page, 'you@example.com');
    await enterCode(page, await mailed());
    const token = await expectToken(client, (await arrives(page, client)).get('code'));
    assert.equal(token.federated_claims.connector_id, 'https://www.facebook.com');
    client.close();
    // Somebody else's account confirms its own address, and gets nothing of this one.
    const next = await program();
    const other = await person();
    await other.goto(next.url());
    await logInAt(other, 'Facebook', 'berta');
    assert.equal(await heading(other), 'Log in');
    assert.equal(await other.getByLabel('E-mail address').inputValue(), 'berta@example.com');
    next.close();
    await refusedAt('Facebook', 'refuse', /did not agree/, 'refuse');
    await refusedAt('Facebook', 'echo-token', /refuses log-ins from here/, 'fault');
  },

  async forge() {
    const label = 'Example forge';
    await logInThere(label, 'https://forge.example.com', 'anna');
    await refusedAt(label, 'unverified', /does not say that your e-mail address is verified/);
    await refusedAt(label, 'nobody', /gives no e-mail address/);
    await refusedAt(label, 'stranger', /not one that may log in here/);
    await refusedAt(label, 'refuse', /did not agree/);
  },

  async device_facebook() {
    // A device, with an account whose address is confirmed on the way.
    const codes = await device();
    const page = await person();
    await agree(page, codes);
    await press(page, 'I started this: continue');
    await logInAt(page, 'Facebook', 'anna');
    await enterAddress(page, 'anna@example.com');
    await enterCode(page, await mailed('anna@example.com'));
    assert.equal(await heading(page), 'You are logged in');
    await inspect(page, 'done');
    const token = claims((await codes.poll()).id_token);
    assert.equal(token.federated_claims.connector_id, 'https://www.facebook.com');
  },

  async device_chosen() {
    // The device has chosen, and its person sees no choice.
    const codes = await device({ connector_id: 'https://github.com/login/oauth' });
    const page = await person();
    await agree(page, codes);
    await press(page, 'I started this: continue');
    await inspect(page, 'only');
    assert.deepEqual(await page.locator('.ways a').allInnerTexts(), ['Log in with GitHub']);
    await logInAt(page, 'GitHub', 'anna');
    await press(page, 'Go on');
    assert.equal(await heading(page), 'You are logged in');
    const token = claims((await codes.poll()).id_token);
    assert.equal(token.federated_claims.connector_id, 'https://github.com/login/oauth');
    const mailing = await device({ connector_id: setup.issuer, login_hint: 'you@example.com' });
    const other = await person();
    await agree(other, mailing);
    await press(other, 'I started this: continue');
    assert.equal(await other.getByLabel('E-mail address').inputValue(), 'you@example.com');
    await enterAddress(other, 'you@example.com');
    await enterCode(other, await mailed());
    assert.equal(claims((await mailing.poll()).id_token).federated_claims.connector_id, setup.issuer);
  },

  async device_platforms() {
    for (const [label, id] of PLATFORMS) {
      if (label === 'Facebook') continue;
      const account = label === 'Microsoft, any tenant' ? 'edov' : 'anna';
      const codes = await device();
      const page = await person();
      await agree(page, codes);
      await press(page, 'I started this: continue');
      await logInAt(page, label, account);
      await press(page, 'Go on');
      assert.equal(await heading(page), 'You are logged in');
      const token = claims((await codes.poll()).id_token);
      assert.equal(token.federated_claims.connector_id, id);
      await page.context().close();
    }
  },

  async platforms_out_of_band() {
    for (const [label, id] of PLATFORMS) {
      const account = label === 'Microsoft, any tenant' ? 'edov' : 'anna';
      const client = await program();
      const page = await person();
      await page.goto(client.url({ redirect_uri: OOB }));
      await logInAt(page, label, account);
      if (label === 'Facebook') {
        await enterAddress(page, 'anna@example.com');
        await enterCode(page, await mailed('anna@example.com'));
      } else {
        await press(page, 'Go on');
      }
      const copied = await page.locator('#code').evaluate((e) => e.value ?? e.innerText);
      const token = await expectToken(client, copied, `${account}@example.com`, OOB);
      assert.equal(token.federated_claims.connector_id, id);
      client.close();
      await page.context().close();
    }
  },
});

try {
  await flows[setup.flow]();
  assert.deepEqual(problems, []);
} catch (error) {
  // What the last page showed says more than what was not found on it.
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    const text = await page.locator('body').innerText({ timeout: 2000 }).catch(String);
    console.error(`${page.url().split('?')[0]}: ${text.slice(0, 500)}`);
  }
  throw error;
} finally {
  await browser.close();
}
process.exit(0);
