/** packaging/install.sh with a server on loopback: it installs good releases, and leaves no trace of bad ones. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makeRelease, PROGRAM_NAME, renderInstaller } from '../../scripts/package/product.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { makeIsolatedCommand, PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const skip = ['linux', 'darwin'].includes(process.platform)
  ? skipWithout('curl', () => canRun('curl', '--version'))
  : 'not for this system';

const target = `${process.platform}-${process.arch}`;
const FILE = `${PROGRAM_NAME}-${target}`;
const PROGRAM = Buffer.from('#!/bin/sh\necho 9.9.9\n');

const sumsOf = (program: Buffer): string =>
  `${'0'.repeat(64)}  ${PROGRAM_NAME}-other\n${createHash('sha256').update(program).digest('hex')}  ${FILE}\n`;

interface ReleaseServer {
  readonly url: string;
  /** The paths that were requested. */
  readonly requestedPaths: readonly string[];
}

/** Serves a folder of releases. undefined is a 404, and a string that starts with http is a redirect. */
async function startReleaseServer(
  t: Test,
  files: Readonly<Record<string, Buffer | string | undefined>>,
): Promise<ReleaseServer> {
  const requestedPaths: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    requestedPaths.push(path);
    const file = files[path];
    if (file === undefined) response.writeHead(404).end('<html>none</html>');
    else if (typeof file === 'string' && /^(?:http|ftp|file):/.test(file))
      response.writeHead(302, { location: file }).end();
    else response.end(file);
  });
  return { url: `http://127.0.0.1:${await listenForTest(t, server)}/v9`, requestedPaths };
}

const site = (
  program: Buffer | string | undefined,
  sums: string | undefined,
): Record<string, Buffer | string | undefined> => ({
  '/v9/SHA256SUMS': sums,
  [`/v9/${FILE}`]: program,
});

interface InstallFixture {
  readonly home: string;
  readonly temporary: string;
}

function setUpInstall(t: Test): InstallFixture {
  const root = t.testdir({ home: {}, tmp: {} });
  return { home: join(root, 'home'), temporary: join(root, 'tmp') };
}

async function install(
  { home, temporary }: InstallFixture,
  words: readonly string[],
  script = resolve('packaging/install.sh'),
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const env = { PATH: '/usr/bin:/bin', HOME: home, TMPDIR: temporary };
  const [file, args, options] = makeIsolatedCommand('sh', [script, ...words], env);
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

await t.test('the installer downloads a release and checks it', { skip }, async (t) => {
  const fixture = setUpInstall(t);
  const { url, requestedPaths } = await startReleaseServer(t, site(PROGRAM, sumsOf(PROGRAM)));
  const result = await install(fixture, ['--base-url', `${url}/`]);
  const bin = join(fixture.home, '.local/bin');
  t.match(result, { status: 0, stdout: `installed ${PROGRAM_NAME} 9.9.9 in ${bin}\n` });
  t.match(result.stderr, 'is not in your PATH');
  t.strictSame(requestedPaths, ['/v9/SHA256SUMS', `/v9/${FILE}`]);
  t.strictSame(readdirSync(bin).toSorted(), [PROGRAM_NAME, 'kubectl-keystone_auth']);
  t.equal(statSync(join(bin, PROGRAM_NAME)).mode & 0o7777, 0o755);
  t.strictSame(readFileSync(join(bin, PROGRAM_NAME)), PROGRAM);
  t.equal(readlinkSync(join(bin, 'kubectl-keystone_auth')), PROGRAM_NAME);
  t.strictSame(readdirSync(fixture.temporary), [], 'the download is removed');
});

await t.test('the installer replaces an old version, with --prefix and --sha256', { skip }, async (t) => {
  const fixture = setUpInstall(t);
  const bin = join(fixture.home, 'a b', 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, PROGRAM_NAME), 'old');
  const { url, requestedPaths } = await startReleaseServer(t, site(PROGRAM, undefined));
  const sum = createHash('sha256').update(PROGRAM).digest('hex');
  const result = await install(fixture, ['--base-url', url, '--prefix', join(fixture.home, 'a b'), '--sha256', sum]);
  t.match(result, { status: 0 });
  t.strictSame(requestedPaths, [`/v9/${FILE}`]);
  t.strictSame(readFileSync(join(bin, PROGRAM_NAME)), PROGRAM);
});

const tampered = Buffer.from(PROGRAM);
tampered.writeUInt8(0x38, tampered.length - 2);
const dead = Buffer.from('#!/bin/sh\nexit 1\n');

const REFUSALS: readonly (readonly [title: string, files: ReturnType<typeof site>, message: string])[] = [
  ['a replaced program', site(tampered, sumsOf(PROGRAM)), 'does not have the checksum'],
  ['a truncated program', site(PROGRAM.subarray(0, 9), sumsOf(PROGRAM)), 'does not have the checksum'],
  ['no program', site(undefined, sumsOf(PROGRAM)), 'cannot download'],
  ['no checksums', site(PROGRAM, undefined), 'cannot download'],
  ['checksums of other files', site(PROGRAM, `${'0'.repeat(64)}  x\n`), 'no checksum for'],
  ['an invalid checksum', site(PROGRAM, `.*  ${FILE}\n`), 'no checksum for'],
  ['a redirect to a local file', site('file:///bin/sh', sumsOf(readFileSync('/bin/sh'))), 'cannot download'],
  ['a program that does not run', site(dead, sumsOf(dead)), 'does not run on this machine'],
];

for (const [title, files, message] of REFUSALS) {
  await t.test(title, { skip }, async (t) => {
    const fixture = setUpInstall(t);
    const bin = join(fixture.home, '.local/bin');
    const isStaged = message.includes('not run');
    const { url } = await startReleaseServer(t, files);
    const fresh = await install(fixture, ['--base-url', url]);
    t.equal(fresh.status, 1);
    t.equal(fresh.stdout, '');
    t.match(fresh.stderr, message);
    t.strictSame(existsSync(bin) ? readdirSync(bin) : [], []);
    t.equal(existsSync(join(fixture.home, '.local')), isStaged, 'the folder is created only to try the program');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, PROGRAM_NAME), 'old');
    chmodSync(join(bin, PROGRAM_NAME), 0o755);
    t.equal((await install(fixture, ['--base-url', url])).status, 1);
    t.strictSame(readdirSync(bin), [PROGRAM_NAME]);
    t.equal(readFileSync(join(bin, PROGRAM_NAME), 'utf8'), 'old', 'the old version stays');
    t.strictSame(readdirSync(fixture.temporary), []);
  });
}

await t.test('wrong arguments cause no request', { skip }, async (t) => {
  const fixture = setUpInstall(t);
  const refuse = async (words: readonly string[], message: string): Promise<void> => {
    const result = await install(fixture, words);
    t.equal(result.status, 1);
    t.match(result.stderr, message);
  };
  await refuse([], 'set the URL of the release with --base-url');
  await refuse(['--base-url', 'http://example.invalid/'], 'must start with https://');
  await refuse(['--base-url', 'http://127.0.0.1:1@example.invalid/'], 'must not contain a user');
  await refuse(['--base-url', 'file:///tmp'], 'must start with https://');
  await refuse(['--base-url'], 'needs a value');
  await refuse(['--force'], 'usage:');
  t.strictSame(readdirSync(fixture.home), []);
});

await t.test(
  'the installer installs the packaged executable',
  { skip: PACKAGED_EXECUTABLE === undefined ? 'npm test -- --packaged' : skip },
  async (t) => {
    const fixture = setUpInstall(t);
    const { url } = await startReleaseServer(t, {
      '/v9/SHA256SUMS': readFileSync('out/release/SHA256SUMS', 'utf8'),
      [`/v9/${FILE}`]: readFileSync(`out/release/${FILE}`),
    });
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const result = await install(fixture, ['--base-url', url], resolve('out/install.sh'));
    t.match(result, {
      status: 0,
      stdout: `installed ${PROGRAM_NAME} ${version} in ${join(fixture.home, '.local/bin')}\n`,
    });
  },
);

void t.test('the script contains the URL of its release', async (t) => {
  const script = readFileSync('packaging/install.sh', 'utf8');
  t.match(
    renderInstaller('install.sh', script, makeRelease('1.0.0', 'https://example.org/v1')),
    "default_url='https://example.org/v1'\n",
  );
  t.throws(() => renderInstaller('install.sh', '', makeRelease('1.0.0', undefined)));
});
