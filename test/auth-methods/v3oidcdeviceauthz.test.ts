// Against: a real OpenID provider, Apache and Keystone, on a real terminal.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { homeFor, summarise } from '../support/check-login.ts';
import type { Settings } from '../support/check-login.ts';
import { browse } from '../support/browser.ts';
import { decideDevice, pollsOf, setIssuer, testWithFederation } from '../support/federation.ts';
import {
  askedOfIssuer,
  askedOfKeystone,
  checkNoSecrets,
  DISCOVERY,
  exchanged,
  onDemo,
  openLane,
  TOKEN,
} from '../support/federated-login.ts';
import type { Lane } from '../support/federated-login.ts';
import { checkFailure, checkSuccess, EXIT, readCredential } from '../support/login.ts';
import { makeEnvironment, PLUGIN, runPlugin } from '../support/plugin.ts';
import type { Home } from '../support/plugin.ts';
import { validateToken } from '../support/tenancy.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';

t.setTimeout(170_000);

const AUTHORIZATION = 'POST /device/auth 200';
const PENDING = 'POST /token 400';

function asDevice({ federation, env }: Lane): Settings {
  return { ...env, OS_AUTH_TYPE: 'v3oidcdeviceauthz', OS_CLIENT_ID: federation.clients.public.id };
}

/** The plugin on a terminal, its stdout in a file. */
function start(t: Test, home: Home, env: Settings): { terminal: Terminal; stdout: () => string } {
  const out = join(home.path, 'stdout');
  const terminal = openTerminal({
    file: '/bin/sh',
    args: ['-c', 'out=$1; shift; exec "$@" >"$out"', 'sh', out, process.execPath, PLUGIN],
    env: makeEnvironment(home, env),
    cwd: home.path,
    cols: 300,
  });
  t.teardown(() => terminal.close());
  return { terminal, stdout: () => readFileSync(out, 'utf8') };
}

async function readInvitation(terminal: Terminal): Promise<{ url: string; userCode: string }> {
  const line = await terminal.waitFor(/to log in, open \S+ and check that it shows the code \S+/, 20_000);
  const [, url = '', userCode = ''] = /open (\S+) and .* code (\S+)$/.exec(line) ?? [];
  return { url, userCode };
}

testWithFederation('a person logs in elsewhere', async (t, federation, world) => {
  const lane = openLane(federation, world);
  const { ca } = world.pki;
  await setIssuer(lane.issuer.url, ca, { deviceInterval: 1 });
  const home = homeFor(t);
  const env = { ...asDevice(lane), OS_CODE_CHALLENGE_METHOD: 'S256' };
  const { terminal, stdout } = start(t, home, env);
  const { url, userCode } = await readInvitation(terminal);
  t.ok(url.startsWith(lane.issuer.url), url);
  while ((await pollsOf(lane.issuer.url, ca, userCode)).length === 0) await new Promise((done) => setTimeout(done, 50));
  t.match((await browse(url, federation.people.alice, ca)).page, { status: 200, body: 'The device is connected.' });
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  const { token } = readCredential(t, stdout());
  t.strictSame(summarise(await validateToken(world.http, token)), onDemo(federation.people.alice.email));

  const polls = await pollsOf(lane.issuer.url, ca, userCode);
  t.ok(polls.length >= 2, 'pending at first, then a token');
  const gaps = polls.slice(1).map((at, index) => at - (polls[index] ?? 0));
  t.ok(Math.min(...gaps) >= 950, `a second apart: ${gaps.join(', ')}`);
  const ofDevice = askedOfIssuer(lane).filter((request) => !/ \/(device|auth|interaction)\b/.test(request));
  t.strictSame(ofDevice, [DISCOVERY, ...Array<string>(polls.length - 1).fill(PENDING), TOKEN]);
  t.equal(askedOfIssuer(lane)[1], AUTHORIZATION);
  t.strictSame(await askedOfKeystone(lane), exchanged(federation));

  const before = askedOfIssuer(lane).length;
  const again = await runPlugin({ home, env });
  t.equal(again.stdout, stdout(), 'the cache says the same');
  t.equal(askedOfIssuer(lane).length, before, 'and asks nobody');
  checkNoSecrets(t, lane, home, again);

  // Nobody is there any more, and nobody is needed.
  checkSuccess(t, await runPlugin({ home, env, args: ['--force-refresh'] }));
  t.strictSame(askedOfIssuer(lane).slice(before), [DISCOVERY, TOKEN], 'refreshed');
});

testWithFederation('a person says no, or comes too late', async (t, federation, world) => {
  const lane = openLane(federation, world);
  const { ca } = world.pki;
  await setIssuer(lane.issuer.url, ca, { deviceInterval: 1 });
  for (const [action, says] of [
    ['deny', /the login was denied \(access_denied/],
    ['expire', /the login was not finished in time \(expired_token/],
  ] as const) {
    await t.test(action, async (t) => {
      const { terminal, stdout } = start(t, homeFor(t), asDevice(lane));
      const { userCode } = await readInvitation(terminal);
      await decideDevice(lane.issuer.url, ca, { userCode, action });
      await terminal.waitFor(says);
      t.equal((await terminal.ended).exitCode, EXIT.refused);
      t.equal(stdout(), '');
    });
  }
  await t.test('nobody does anything', async (t) => {
    const { terminal, stdout } = start(t, homeFor(t), {
      ...asDevice(lane),
      CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token',
    });
    await readInvitation(terminal);
    await setIssuer(lane.issuer.url, ca, { deviceInterval: 1 });
    terminal.signal('SIGINT');
    t.equal((await terminal.ended).signal, 'SIGINT', 'Ctrl-C ends the waiting');
    t.equal(stdout(), '');
  });
  t.strictSame(await askedOfKeystone(lane), []);
});

testWithFederation("the provider's ID token, and no Keystone", async (t, federation, world) => {
  const lane = openLane(federation, world);
  const { ca } = world.pki;
  await setIssuer(lane.issuer.url, ca, { deviceInterval: 1 });
  const env = {
    ...lane.providerEnv,
    OS_AUTH_TYPE: 'v3oidcdeviceauthz',
    OS_CLIENT_ID: federation.clients.public.id,
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token',
  };
  const { terminal, stdout } = start(t, homeFor(t), env);
  const { userCode } = await readInvitation(terminal);
  await decideDevice(lane.issuer.url, ca, { userCode, action: 'approve', person: 'alice' });
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  const { token, expirationTimestamp } = readCredential(t, stdout());
  const [, claims = ''] = token.split('.');
  const { sub, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string; exp: number };
  t.equal(sub, 'alice');
  t.equal(Date.parse(expirationTimestamp), exp * 1000, 'it ends when the token says');
  t.strictSame(await askedOfKeystone(lane), []);
});

testWithFederation('without anybody to show a code to', async (t, federation, world) => {
  const lane = openLane(federation, world);
  const ran = await runPlugin({ home: homeFor(t), env: asDevice(lane) });
  checkFailure(t, ran, EXIT.interaction, { says: ['needs a person with a browser', 'client credentials'] });
  t.strictSame(askedOfIssuer(lane), [DISCOVERY], 'no code is asked for');
});
