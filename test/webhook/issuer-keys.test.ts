// The signing keys of the issuer: their stores, their schedule, and the commands about them. Time is virtual.

import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { CHECK_MS, checkKeys, findSigningKid, listKids } from '../support/issuer-keys.ts';
import { ISSUER_URL, listSecretArgs } from '../support/issuer-settings.ts';
import { makeKeyFile, runIssuerCommand, startIssuer } from '../support/issuer.ts';
import { startStandInCluster } from '../support/stand-in-cluster.ts';
import { waitUntil } from '../support/wait-until.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder, WebhookEnded } from '../support/webhook-settings.ts';
import { runWebhookCommand } from '../support/webhook.ts';

const MAX_AGE_MS = 300_000;

const HOUR_MS = 3_600_000;

async function failToStart(t: Test, keyFile: string): Promise<WebhookEnded> {
  try {
    await startIssuer(t, { keyFile });
  } catch (error) {
    if (error instanceof WebhookEnded) return error;
    throw error;
  }
  throw new Error('the issuer listens');
}

void t.test('a new key is published before it signs, and an old one until its last token has ended', async (t) => {
  const keystone = await startTestKeystone(t, { lifetimeSeconds: 30 * 86_400 });
  const issuer = await startIssuer(t, { keystone, args: ['--rotation-hours', '1'] });
  const token = issueToken(keystone);
  const [first = ''] = await listKids(issuer);
  t.equal(await findSigningKid(issuer, token), first);
  let publishedAt = 0;
  let signedAt = 0;
  let second = '';
  await waitUntil('a second key is published', async () => {
    await checkKeys([issuer]);
    publishedAt = issuer.clock.now();
    second = (await listKids(issuer))[1] ?? '';
    return second !== '';
  });
  t.equal(await findSigningKid(issuer, token), first, 'the first key still signs');
  await waitUntil('the second key signs', async () => {
    await checkKeys([issuer]);
    signedAt = issuer.clock.now();
    return (await findSigningKid(issuer, token)) === second;
  });
  t.ok(signedAt - publishedAt >= MAX_AGE_MS, 'all caches of the keys have ended before');
  await waitUntil('the first key is withdrawn', async () => {
    await checkKeys([issuer]);
    return !(await listKids(issuer)).includes(first);
  });
  t.ok(issuer.clock.now() - signedAt >= HOUR_MS, 'no token of the first key is valid any more');
});

/** Adds a key that signs only in a year, as a replica makes it whose clock is that far ahead. */
async function addDistantKey(t: Test, keyFile: string): Promise<void> {
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as { keys: object[] };
  const { keys: added } = read(await makeKeyFile(t));
  const time = new Date(Date.now() + 365 * 24 * HOUR_MS).toISOString();
  const stored = read(keyFile);
  const keys = [...stored.keys, ...added.map((key) => ({ ...key, createdAt: time, signsFrom: time }))];
  writeFileSync(keyFile, JSON.stringify({ ...stored, keys }));
}

void t.test('a key that a wrong clock has made does not end the rotation', async (t) => {
  const keystone = await startTestKeystone(t, { lifetimeSeconds: 86_400 });
  const keyFile = await makeKeyFile(t);
  await addDistantKey(t, keyFile);
  const issuer = await startIssuer(t, { keystone, keyFile, args: ['--rotation-hours', '1'] });
  const token = issueToken(keystone);
  const [first = '', distant = ''] = await listKids(issuer);
  t.equal(await findSigningKid(issuer, token), first);
  const readDue = async (): Promise<number> => {
    const { body } = await issuer.sendRequest({ path: '/metrics' });
    return Number(/rotation_timestamp_seconds (\d\S*)/.exec(String(body))?.[1]) * 1_000;
  };
  t.ok((await readDue()) - issuer.clock.now() <= HOUR_MS, 'the metric says when the next key is due');
  const second = await waitUntil('another key signs', async () => {
    await checkKeys([issuer]);
    const kid = await findSigningKid(issuer, token);
    return kid !== first && kid;
  });
  t.not(second, distant);
  t.ok((await listKids(issuer)).includes(distant), 'every verifier knows the distant key until its time comes');

  const other = await makeKeyFile(t);
  await addDistantKey(t, other);
  t.match(await runIssuerCommand('rotate', '--signing-keys-file', other), / signs .*\n.* waits .*\n.* waits /);
});

void t.test('another algorithm takes over without an interruption', async (t) => {
  const keystone = await startTestKeystone(t);
  const keyFile = await makeKeyFile(t);
  const issuer = await startIssuer(t, { keystone, keyFile, args: ['--signing-alg', 'RS256'] });
  const [first, second] = await listKids(issuer);
  t.equal(await findSigningKid(issuer, issueToken(keystone)), first);
  t.ok(second);
  const { body } = await issuer.sendRequest({
    path: `${new URL(ISSUER_URL).pathname}/.well-known/openid-configuration`,
  });
  t.match(body, { id_token_signing_alg_values_supported: ['ES256', 'RS256'] });
});

void t.test('a store that is missing or invalid is a failure, and never becomes a new key', async (t) => {
  const folder = makeTestFolder(t);
  const good = readFileSync(await makeKeyFile(t), 'utf8');
  const shortKey = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' });
  const otherCurve = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'jwk' });
  const write = (jwk: object): string => {
    const time = new Date().toISOString();
    return JSON.stringify({ version: 1, keys: [{ createdAt: time, signsFrom: time, jwk }] });
  };
  const contents: Readonly<Record<string, string>> = {
    empty: '',
    torn: good.slice(0, good.length / 2),
    list: '[]',
    'no-keys': '{"version":1,"keys":[]}',
    'another-version': good.replace('"version": 1', '"version": 2'),
    'no-times': good.replaceAll('signsFrom', 'x'),
    'a-public-key': good.replaceAll(/"d": "[^"]+",?/g, '').replaceAll(/,(\s*\})/g, '$1'),
    'a-short-key': write(shortKey),
    'another-curve': write(otherCurve),
    'a-shared-secret': write({ kty: 'oct', k: 'c2VjcmV0c2VjcmV0' }),
  };
  for (const [name, content] of Object.entries(contents)) {
    const file = join(folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    const { status, stdout, stderr } = await failToStart(t, file);
    t.equal(status, 3, name);
    t.match(stderr, /^k8s-keystone-auth: --signing-keys-file: [^\n]+; restore the signing keys from a backup\n$/, name);
    t.notMatch(stdout + stderr, /"d"|"k"|c2VjcmV0/, name);
    t.equal(readFileSync(file, 'utf8'), content, name);
  }
  const missing = join(folder, 'missing');
  t.match(await failToStart(t, missing), {
    status: 3,
    stderr: /cannot be read \(ENOENT\); restore them from a backup/,
  });
  t.notOk(existsSync(missing));
});

void t.test('a file that other users can read or replace is refused', async (t) => {
  const keyFile = await makeKeyFile(t);
  chmodSync(keyFile, 0o640);
  t.match(await failToStart(t, keyFile), { status: 3, stderr: /is not private.*0600/ });
  chmodSync(keyFile, 0o600);
  const folder = join(keyFile, '..');
  chmodSync(folder, 0o777);
  t.match(await failToStart(t, keyFile), { status: 3, stderr: /other users can write to the folder/ });
});

void t.test(
  'a folder of another user is refused, who could put an old file of keys into it',
  { skip: process.geteuid?.() !== 0 && 'only root can give a folder away' },
  async (t) => {
    const keyFile = await makeKeyFile(t);
    chownSync(join(keyFile, '..'), 12_345, 12_345);
    t.match(await failToStart(t, keyFile), {
      status: 3,
      stderr: /belongs to another user; make the user of the issuer/,
    });
  },
);

void t.test(
  'an issuer that loses its store goes on with what it knows, and then says that it is not ready',
  async (t) => {
    const keystone = await startTestKeystone(t);
    const issuer = await startIssuer(t, { keystone });
    const keyFile = issuer.keyFile ?? '';
    const [kid] = await listKids(issuer);
    const backup = join(makeTestFolder(t), 'backup');
    copyFileSync(keyFile, backup);
    rmSync(keyFile);
    await checkKeys([issuer], CHECK_MS);
    t.match(issuer.readOutput(), /"level":"error".*the signing keys cannot be read or rotated/);
    t.equal(await findSigningKid(issuer, issueToken(keystone)), kid, 'tokens are still issued');
    t.match(await issuer.sendRequest({ path: '/readyz' }), { status: 200 });
    await waitUntil('the issuer is not ready', async () => {
      await checkKeys([issuer]);
      return (await issuer.sendRequest({ path: '/readyz' })).status === 503;
    });
    t.notOk(existsSync(keyFile), 'no key was made');
    copyFileSync(backup, keyFile);
    chmodSync(keyFile, 0o600);
    await checkKeys([issuer], CHECK_MS);
    t.match(await issuer.sendRequest({ path: '/readyz' }), { status: 200 });
  },
);

void t.test('"issuer keys" and "issuer rotate" show no secret, and rotate once', async (t) => {
  const keyFile = join(makeTestFolder(t), 'keys.json');
  const place = ['--signing-keys-file', keyFile];
  const run = async (...args: readonly string[]) => {
    const { ended, output } = runWebhookCommand(['issuer', ...args, ...place]);
    return { status: await ended, ...output };
  };
  t.match(await run('keys'), { status: 3, stdout: '', stderr: /issuer rotate --create/ });
  t.match(await run('rotate'), { status: 3, stdout: '', stderr: /issuer rotate --create/ });
  t.strictSame(readdirSync(dirname(keyFile)), [], 'nor does it leave anything at a path without keys');
  const table = (await run('rotate', '--create')).stdout;
  t.match(table, /^KEY +ALGORITHM +STATE +SIGNS FROM +PUBLISHED UNTIL\n\S{43} +ES256 +signs +\S+Z +-\n$/);
  t.match(await run('rotate', '--create'), { status: 3, stderr: /already exists/ });
  t.equal((await run('keys')).stdout, table);
  const rotated = await run('rotate');
  t.match(rotated.stdout, /\n\S{43} +ES256 +signs .*Z\n\S{43} +ES256 +waits .*-\n$/);
  t.match(await run('rotate'), { status: 3, stderr: /a new key already waits/ });
  const compromised = await run('rotate', '--compromised', '--signing-alg', 'RS256');
  t.match(compromised.stdout, /^KEY[^\n]*\n\S{43} +RS256 +signs [^\n]* -\n$/);
  t.notMatch(compromised.stdout, table.split('\n')[1]?.slice(0, 43) ?? '?');
  const { d = '?' } = (JSON.parse(readFileSync(keyFile, 'utf8')) as { keys: [{ jwk: { d?: string } }] }).keys[0].jwk;
  t.notMatch(compromised.stdout + rotated.stdout, d);
  t.match(await run('rotate', '--create', '--compromised'), { status: 3, stderr: /exclude each other/ });
  t.match(await run('keys', '--signing-keys-secret', 'a/b'), { status: 3, stderr: /either .* or .* must be set/ });
});

void t.test('of several replicas, one makes the new key', async (t) => {
  const keystone = await startTestKeystone(t, { lifetimeSeconds: 86_400 });
  const cluster = await startStandInCluster(t);
  const keyFile = await makeKeyFile(t);
  const secretArgs = listSecretArgs(t, cluster);
  await runIssuerCommand('rotate', '--create', ...secretArgs);
  for (const [name, place] of [
    ['a file', { keyFile }],
    ['a Secret', { cluster }],
  ] as const) {
    const settings = { keystone, ...place, args: ['--rotation-hours', '1'] };
    const replicas = await Promise.all([startIssuer(t, settings), startIssuer(t, settings), startIssuer(t, settings)]);
    const [first] = replicas;
    for (let round = 0; round < 2; round += 1) {
      const before = new Set(await listKids(first));
      const isNew = (kids: readonly string[]): boolean => kids.some((kid) => !before.has(kid));
      await waitUntil('a key is published', async () => {
        await checkKeys(replicas);
        return isNew(await listKids(first));
      });
      await checkKeys(replicas);
      const lists = await Promise.all(replicas.map(listKids));
      t.strictSame(lists[1], lists[0], name);
      t.strictSame(lists[2], lists[0], name);
      t.equal(lists[0]?.filter((kid) => !before.has(kid)).length, 1, `${name}: one new key`);
    }
    const token = issueToken(keystone);
    const kids = await Promise.all(replicas.map((issuer) => findSigningKid(issuer, token)));
    t.equal(new Set(kids).size, 1, `${name}: all sign with the same key`);
    const rotations = await Promise.all(
      replicas.map(async (issuer) => {
        const { body } = await issuer.sendRequest({ path: '/metrics' });
        return Number(/signing_key_rotations_total (\d+)/.exec(String(body))?.[1]);
      }),
    );
    t.equal(
      rotations.reduce((sum, count) => sum + count, 0),
      2,
      name,
    );
  }
});

void t.test('a Secret that is missing, empty or out of reach is a failure, and never becomes a new key', async (t) => {
  const cluster = await startStandInCluster(t);
  const args = listSecretArgs(t, cluster);
  const run = async (...words: readonly string[]) => {
    const { ended, output } = runWebhookCommand(['issuer', ...words, ...args]);
    return { status: await ended, ...output };
  };
  t.match(await run('keys'), {
    status: 3,
    stderr: /Secret keystone\/signing-keys with the signing keys does not exist/,
  });
  t.match(await run('rotate', '--compromised'), { status: 3 }, 'only --create creates it');
  t.match(await run('rotate', '--create'), { status: 0 });
  t.match(await run('rotate', '--create'), { status: 3, stderr: /already exists/ });
  cluster.failWith(403);
  t.match(await run('keys'), {
    status: 1,
    stderr: /the API server answered 403; give the issuer the rights to get and update this Secret/,
  });
  cluster.failWith(undefined);
  const secret = cluster.secrets.get('keystone/signing-keys');
  if (secret === undefined) throw new Error('there is no Secret');
  cluster.secrets.set('keystone/signing-keys', { ...secret, data: {} });
  t.match(await run('keys'), { status: 3, stderr: /has no key "signing-keys.json"; restore/ });
  t.match(await run('rotate'), { status: 3, stderr: /has no key "signing-keys.json"; restore/ });
});
