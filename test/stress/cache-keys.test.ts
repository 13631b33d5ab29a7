/**
 * Two configurations that differ in one setting are always two logins: a token for the wrong project would be the worst
 * error of a cache. The tests run hundreds of configurations, so they run in one process and without kubectl, with all
 * code of the program except the Host.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { openTokenCache } from '../../src/plugin/cache/token-cache.ts';
import { parseExecInfo } from '../../src/plugin/exec/exec-credential.ts';
import { getExecCredential } from '../../src/plugin/login/cluster-token.ts';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { checkNoProblems, pickSize, parseToken } from '../support/stress.ts';
import { fakeHost } from '../support/fake-host.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { makeExecInfo } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { isReliableStamp, stampFile } from '../../src/shared/base/file-stamp.ts';
import { waitSilently } from '../../src/shared/base/long-wait.ts';
import { waitUntil } from '../support/wait-until.ts';

const uid = process.geteuid?.();
const RELEVANT = new Set(['password', 'token', 'application_credential']);

/** Accepts every login, as the user that it names, with a new token each time. */
function answerWithNewToken(): Handler {
  let count = 0;
  return ({ body, method }, response) => {
    const auth = (body as { auth?: { identity?: Record<string, never>; scope?: Record<string, never> } } | undefined)
      ?.auth;
    const identity = auth?.identity ?? {};
    const credential = Object.entries(identity).find(([name]) => RELEVANT.has(name))?.[1] as
      { id?: string; name?: string; user?: object } | undefined;
    const { user = { id: 'u', name: 'u', domain: {} } } = credential ?? {};
    const scope = typeof auth?.scope === 'object' ? auth.scope : {};
    count += 1;
    const token = {
      methods: ['password'],
      user,
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
      ...scope,
      application_credential: { id: credential?.id, name: credential?.name },
    };
    response.writeHead(method === 'POST' ? 201 : 200, { 'x-subject-token': `gAAAA-${String(count).padStart(6, '0')}` });
    response.end(JSON.stringify({ token }));
  };
}

interface Configuration {
  /** The setting in which it differs from the others. */
  readonly what: string;
  readonly env: EnvVars;
  /** KUBERNETES_EXEC_INFO. */
  readonly info?: string;
}

const BASE = {
  OS_USERNAME: 'alice',
  OS_USER_DOMAIN_NAME: 'acme',
  OS_PASSWORD: 'x',
  OS_PROJECT_NAME: 'web',
  OS_PROJECT_DOMAIN_NAME: 'acme',
};

const without = (env: EnvVars, ...names: readonly string[]): EnvVars =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));

/** Similar names: the same letters, other separators, an ID that equals another name. */
const NAMES = ['a', 'A', 'aa', 'a a', 'a,a', 'a/a', 'a:a', '1:a', 'a\n', 'ä', 'ä', '-', 'a|b', 'a=b', '"a"', 'alice '];

function listConfigurations(
  urls: readonly string[],
  tlsUrl: string,
  files: readonly string[],
  ca: string,
): Configuration[] {
  const [url = ''] = urls;
  const base: EnvVars = { OS_AUTH_URL: url, ...BASE };
  const none = without(base, 'OS_PROJECT_NAME', 'OS_PROJECT_DOMAIN_NAME');
  const project = { OS_PROJECT_NAME: 'web', OS_PROJECT_DOMAIN_NAME: 'acme' };
  const credential = { OS_AUTH_URL: url, OS_APPLICATION_CREDENTIAL_SECRET: 's' };
  const owner = { OS_USERNAME: 'alice', OS_USER_DOMAIN_NAME: 'acme' };
  const tls: EnvVars = { ...base, OS_AUTH_URL: tlsUrl };
  const byName = (name: string): Configuration[] => [
    { what: 'user', env: { ...base, OS_USERNAME: `u${name}` } },
    { what: 'user by ID', env: { ...without(base, 'OS_USERNAME', 'OS_USER_DOMAIN_NAME'), OS_USER_ID: `u${name}` } },
    { what: 'user domain', env: { ...base, OS_USER_DOMAIN_NAME: `d${name}` } },
    { what: 'user domain by ID', env: { ...without(base, 'OS_USER_DOMAIN_NAME'), OS_USER_DOMAIN_ID: `d${name}` } },
    { what: 'project', env: { ...base, OS_PROJECT_NAME: `p${name}` } },
    { what: 'project by ID', env: { ...none, OS_PROJECT_ID: `p${name}` } },
    { what: 'project domain', env: { ...base, OS_PROJECT_DOMAIN_NAME: `d${name}` } },
    {
      what: 'project domain by ID',
      env: { ...without(base, 'OS_PROJECT_DOMAIN_NAME'), OS_PROJECT_DOMAIN_ID: `d${name}` },
    },
    { what: 'domain', env: { ...none, OS_DOMAIN_NAME: `d${name}` } },
    { what: 'domain by ID', env: { ...none, OS_DOMAIN_ID: `d${name}` } },
    { what: 'credential', env: { ...credential, OS_APPLICATION_CREDENTIAL_ID: `c${name}` } },
    { what: 'credential by name', env: { ...credential, ...owner, OS_APPLICATION_CREDENTIAL_NAME: `c${name}` } },
    {
      what: "credential's user",
      env: { ...credential, ...owner, OS_APPLICATION_CREDENTIAL_NAME: 'c', OS_USERNAME: `u${name}` },
    },
    {
      what: "credential's user's domain",
      env: { ...credential, ...owner, OS_APPLICATION_CREDENTIAL_NAME: 'c', OS_USER_DOMAIN_NAME: `d${name}` },
    },
  ];
  return [
    { what: 'base', env: base },
    { what: 'system', env: { ...none, OS_SYSTEM_SCOPE: 'all' } },
    { what: 'unscoped', env: { ...none, OS_UNSCOPED: 'true' } },
    { what: 'default scope', env: none },
    ...urls.slice(1).map((OS_AUTH_URL) => ({ what: 'URL', env: { ...base, OS_AUTH_URL } })),
    ...files.map((OS_CACERT) => ({ what: 'CA file', env: { ...tls, OS_CACERT } })),
    { what: 'insecure', env: { ...tls, OS_CACERT: ca, OS_INSECURE: 'true' } },
    ...NAMES.slice(0, 8).flatMap((name) => [
      {
        what: 'token and project',
        env: { OS_AUTH_URL: url, OS_TOKEN: `t${name.trim()}`.replaceAll(/[^!-~]/g, '_'), ...project },
      },
    ]),
    ...NAMES.flatMap(byName),
    ...Array.from({ length: 1_000 }, (_, index) => byName(`-${index}`)).flat(),
  ];
}

interface TokenResult {
  readonly hit: boolean;
  readonly token: string;
}

/** Does what the program does, without a process. */
async function requestCredential(folder: string, { env, info }: Configuration): Promise<TokenResult> {
  const all: EnvVars = {
    ...env,
    CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder,
    ...(info === undefined ? {} : { KUBERNETES_EXEC_INFO: info }),
  };
  const host: Host = fakeHost({ env: all, uid, now: Date.now, home: () => folder });
  const cached = findCachedCredential(host);
  const warnings: string[] = [];
  const reporter = {
    warn: (text: string) => warnings.push(text),
    info: () => undefined,
    progress: () => undefined,
    waitFor: waitSilently,
    debug: () => undefined,
  };
  const document =
    cached ??
    (await getExecCredential({
      host,
      execInfo: parseExecInfo(info),
      flags: new Map(),
      reporter,
      userAgent: 'test',
      onFastPath: true,
    }));
  return { hit: cached !== undefined, token: parseToken(document) ?? `none: ${document}` };
}

await t.test('configurations that differ in one setting never share a token', async (t) => {
  const size = pickSize(500, 120);
  const folder = t.testdir();
  const pki = await makePki(join(folder, 'pki'));
  const plain = await Promise.all([startKeystoneForTest(t), startKeystoneForTest(t)]);
  const secure = await startKeystoneForTest(t, { tls: pki.server });
  const handler = answerWithNewToken();
  for (const standIn of [...plain, secure]) standIn.answerAlways(handler);
  const logins = (): number => [...plain, secure].reduce((sum, { requests }) => sum + requests.length, 0);
  // Files that differ only in a comment contain the same certificate, but they are different files.
  const files = Array.from({ length: 8 }, (_, index) => {
    const path = join(folder, `ca-${index}.pem`);
    writeFileSync(path, `${readFileSync(pki.ca, 'utf8')}# ${index}\n`);
    return path;
  });
  // The fast path does not trust a file that was written a moment ago.
  await waitUntil('old files', () => files.every((file) => isReliableStamp(stampFile(file), Date.now())));
  const paths = ['', '/a', '/a/b', '/A', '/a%20b', '/identity', '/v2/a'].map((path) => `${path}/v3`);
  const urls = plain.flatMap(({ url }) =>
    [url, url.replace('127.0.0.1', 'localhost')].flatMap((origin) => paths.map((path) => origin + path)),
  );
  const list = listConfigurations(urls, `${secure.url}/v3`, files, pki.ca);
  const unique = new Set<string>();
  const distinct = list.filter(({ env }) => {
    const text = JSON.stringify(Object.entries(env).toSorted());
    return !unique.has(text) && unique.add(text);
  });
  const configurations = distinct.slice(0, size);
  t.equal(configurations.length, size);

  const problems: string[] = [];
  const owners = new Map<string, string>();
  const keys = new Set<string>();
  let hits = 0;
  // A folder holds up to 256 files, so each batch of configurations has a folder of its own.
  for (let from = 0; from < size; from += 100) {
    const cache = join(folder, `cache-${from}`);
    const batch = configurations.slice(from, from + 100);
    const first: string[] = [];
    for (const configuration of batch) {
      const before = logins();
      const { hit, token } = await requestCredential(cache, configuration);
      const what = `${configuration.what} ${JSON.stringify(configuration.env)}`;
      if (hit || logins() === before) problems.push(`${what}: no login of its own`);
      const other = owners.get(token);
      if (other !== undefined) problems.push(`${what}: has the token of ${other}`);
      owners.set(token, what);
      first.push(token);
    }
    const before = logins();
    for (const [index, configuration] of batch.entries()) {
      const { hit, token } = await requestCredential(cache, configuration);
      const own = token === first[index];
      if (own && (hit || configuration.env['OS_INSECURE'] !== undefined)) hits += 1;
      else problems.push(`${configuration.what} again: ${own ? 'no hit' : `the token of ${owners.get(token) ?? '?'}`}`);
    }
    if (logins() !== before) problems.push(`${logins() - before} logins on repeat`);
    for (const name of readdirSync(cache).filter((file) => file.endsWith('.token'))) keys.add(name);
  }
  t.equal(keys.size, size, 'each configuration has its own key, also across folders');
  checkNoProblems(
    t,
    problems,
    `${size} configurations: ${owners.size} logins, ${hits}/${size} hits on repeat, ${problems.length} cross-hits`,
  );
});

await t.test('the fast path distinguishes clusters', async (t) => {
  const standIn = await startKeystoneForTest(t);
  standIn.answerAlways(answerWithNewToken());
  const env = { OS_AUTH_URL: `${standIn.url}/v3`, ...BASE };
  const folder = join(t.testdir(), 'cache');
  const infoOf = (server: string) => makeExecInfo({ cluster: { server } });
  const first = await requestCredential(folder, { what: '', env, info: infoOf('https://a') });
  const other = await requestCredential(folder, { what: '', env, info: infoOf('https://b') });
  t.notOk(other.hit, 'another cluster takes the slow path');
  t.equal(other.token, first.token, 'the slow path finds the token of the same identity');
  t.ok((await requestCredential(folder, { what: '', env, info: infoOf('https://b') })).hit);
});

await t.test('a record or alias with a changed bit is never used', async (t) => {
  const standIn = await startKeystoneForTest(t);
  standIn.answerAlways(answerWithNewToken());
  const configuration: Configuration = { what: '', env: { OS_AUTH_URL: `${standIn.url}/v3`, ...BASE } };
  const base = t.testdir();
  const template = join(base, 'template');
  const folder = join(base, 'cache');
  const origin = await requestCredential(folder, configuration);
  cpSync(folder, template, { recursive: true, preserveTimestamps: true });
  const names = readdirSync(folder).filter((name) => /\.(?:token|alias)$/.test(name));
  t.equal(names.length, 2);
  const problems: string[] = [];
  let flips = 0;
  let logins = 0;
  for (const name of names) {
    const bytes = readFileSync(join(template, name));
    for (let index = 0; index < bytes.length; index += pickSize(1, 7)) {
      cpSync(template, folder, { recursive: true, preserveTimestamps: true });
      const broken = Buffer.from(bytes);
      broken[index] = (bytes[index] ?? 0) ^ (1 << (index % 8));
      writeFileSync(join(folder, name), broken);
      // A disk error does not change the times of a file, and the modification time is the time of expiry.
      const { atime, mtime } = statSync(join(template, name));
      utimesSync(join(folder, name), atime, mtime);
      const before = standIn.requests.length;
      const { hit, token } = await requestCredential(folder, configuration);
      flips += 1;
      if (hit) problems.push(`${name} byte ${index}: used`);
      const loggedIn = standIn.requests.length > before;
      if (loggedIn) logins += 1;
      if (!loggedIn && token !== origin.token) problems.push(`${name} byte ${index}: ${token}`);
      if (!(await requestCredential(folder, configuration)).hit) problems.push(`${name} byte ${index}: not replaced`);
    }
  }
  checkNoProblems(
    t,
    problems,
    `${flips} changed bits: ${problems.length} used or failed, ${logins} new logins, all replaced`,
  );
});

await t.test('the number of cache files stays small after ten thousand logins', async (t) => {
  const count = pickSize(10_000, 600);
  const folder = join(t.testdir(), 'cache');
  mkdirSync(folder, { mode: 0o700 });
  const warnings: string[] = [];
  const host = fakeHost({ env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder }, uid, now: Date.now });
  let maxFiles = 0;
  for (let index = 0; index < count; index += 1) {
    const cache = await openTokenCache({
      host,
      storage: 'file',
      isForKubectl: false,
      warn: (text) => warnings.push(text),
    });
    const key = index.toString(16).padStart(4, '0').split('').toReversed().join('').padEnd(64, '0');
    const release = await cache.lock(key, {
      maxWaitMs: 1_000,
      isNoLongerNeeded: () => Promise.resolve(false),
      onLongWait: () => undefined,
    });
    const now = Date.now();
    const record = { token: `t${index}`, receivedAt: now, expiresAt: now + 3_600_000, endpoint: 'http://127.0.0.1/v3' };
    await cache.store(key, record, [[`f${key.slice(1)}`, { key, apiVersion: undefined, files: [] }]]);
    release?.();
    if (index % 500 === 499) maxFiles = Math.max(maxFiles, readdirSync(folder).length);
  }
  t.strictSame(warnings, []);
  const finalFiles = readdirSync(folder).length;
  const figure = `${count} logins: ${finalFiles} files, at most ${maxFiles}`;
  t.ok(Math.max(finalFiles, maxFiles) <= 600, figure);
  t.comment(figure);
});
