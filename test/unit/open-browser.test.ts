/**
 * Tests which browser is opened, with which arguments, and when none is. The browsers are programs that record their
 * calls.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { openBrowser } from '../../src/plugin/browser/open-browser.ts';
import { fakeHost } from '../support/fake-host.ts';
import { waitUntil } from '../support/wait-until.ts';

const ADDRESS = 'https://idp.example.com/auth?a=1&state=$HOME`id`;x\'%20"|&nonce=%s';

interface DesktopFixture {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Creates a program that records its arguments and its environment. */
  readonly createProgram: (name: string) => string;
  /** Waits until the program was called, and returns what it recorded. */
  readonly waitForCall: (name: string) => Promise<{ args: string[]; env: string[] }>;
}

function setUpDesktop(t: Test): DesktopFixture {
  const folder = mkdtempSync(join(tmpdir(), 'cka-browser-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    env: { DISPLAY: ':0', PATH: `${folder}:/usr/bin:/bin`, HOME: folder },
    createProgram(name) {
      const file = join(folder, name);
      const script = `printf '%s\\0' "$@" >'${file}.args'; env >'${file}.new'; mv '${file}.new' '${file}.env'`;
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
      return file;
    },
    async waitForCall(name) {
      const file = join(folder, name);
      await waitUntil(`${name} is called`, () => existsSync(`${file}.env`) || undefined);
      const args = readFileSync(`${file}.args`, 'utf8').split('\0').slice(0, -1);
      return { args, env: readFileSync(`${file}.env`, 'utf8').split('\n') };
    },
  };
}

void t.test('a browser gets the address as one argument, without a shell', async (t) => {
  const { env, createProgram, waitForCall } = setUpDesktop(t);
  const first = createProgram('first');
  const cases = {
    [first]: [ADDRESS],
    [`${first} --new-window`]: ['--new-window', ADDRESS],
    [`${first} --url=%s -x`]: [`--url=${ADDRESS}`, '-x'],
    [`/nowhere/browser:${first}`]: [ADDRESS],
  };
  for (const [browser, args] of Object.entries(cases)) {
    rmSync(`${first}.env`, { force: true });
    t.equal(await openBrowser(fakeHost({ env: { ...env, BROWSER: browser } }), ADDRESS), undefined);
    t.strictSame((await waitForCall('first')).args, args, browser);
  }
});

void t.test('without BROWSER, the browser of the desktop is opened', async (t) => {
  const { env, createProgram, waitForCall } = setUpDesktop(t);
  createProgram('xdg-open');
  t.equal(await openBrowser(fakeHost({ env }), ADDRESS), undefined);
  t.strictSame((await waitForCall('xdg-open')).args, [ADDRESS]);
});

void t.test('a browser gets no secrets and none of the settings of the plugin', async (t) => {
  const { env, createProgram, waitForCall } = setUpDesktop(t);
  const browser = createProgram('browser');
  const withheld = {
    OS_PASSWORD: 'canary',
    OS_AUTH_URL: 'canary',
    OS_CLIENT_SECRET: 'canary',
    CLIENT_KEYSTONE_AUTH_CACHE_DIR: 'canary',
    KUBERNETES_EXEC_INFO: 'canary',
    NODE_OPTIONS: '--title=canary',
    AWS_SECRET_ACCESS_KEY: 'canary',
    GITHUB_TOKEN: 'canary',
    pgpassword: 'canary',
  };
  await openBrowser(fakeHost({ env: { ...env, ...withheld, BROWSER: browser, LANG: 'C' } }), ADDRESS);
  const call = await waitForCall('browser');
  t.notMatch(call.env.join('\n'), 'canary');
  t.ok(call.env.includes('DISPLAY=:0') && call.env.includes('LANG=C'), 'passes what the browser needs');
});

void t.test('no browser is opened where the user cannot see it, or for what is not a web address', async (t) => {
  const { folder, env, createProgram, waitForCall } = setUpDesktop(t);
  const BROWSER = createProgram('browser');
  const cases = [
    [{ ...env, SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, ADDRESS, 'this is a remote session'],
    [{ ...env, SSH_TTY: '/dev/pts/1' }, ADDRESS, 'this is a remote session'],
    [{ ...env, DISPLAY: '' }, ADDRESS, 'there is no desktop'],
    [env, 'file:///etc/passwd', 'the address does not begin with http:// or https://'],
    [env, '--help', 'the address does not begin with http:// or https://'],
    [env, 'javascript:alert(1)', 'the address does not begin with http:// or https://'],
  ] as const;
  for (const [settings, address, obstacle] of cases) {
    t.equal(await openBrowser(fakeHost({ env: { ...settings, BROWSER } }), address), obstacle);
  }
  // A browser that was started before this one would have been called before it.
  await openBrowser(fakeHost({ env: { ...env, BROWSER: createProgram('later') } }), ADDRESS);
  await waitForCall('later');
  t.notOk(existsSync(join(folder, 'browser.args')), 'no browser was started');
  const noBrowser = { DISPLAY: ':0', PATH: '/nowhere', BROWSER: '/nowhere/browser' };
  t.equal(await openBrowser(fakeHost({ env: noBrowser }), ADDRESS), 'no browser could be started');
});
