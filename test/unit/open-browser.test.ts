/** Opening a browser: which one, with what, and when not. The browsers are real programs that write down how they were called. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { openBrowser } from '../../src/plugin/browser/open-browser.ts';
import { fakeHost } from '../support/fake-host.ts';

const ADDRESS = 'https://idp.example.com/auth?a=1&state=$HOME`id`;x\'%20"|&nonce=%s';

interface DesktopFixture {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Makes a program that writes down its arguments and its environment. */
  readonly program: (name: string) => string;
  /** What the program got; undefined where it was not called. */
  readonly readCall: (name: string) => Promise<{ args: string[]; env: string[] } | undefined>;
}

function setUpDesktop(t: Test): DesktopFixture {
  const folder = mkdtempSync(join(tmpdir(), 'cka-browser-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    env: { DISPLAY: ':0', PATH: `${folder}:/usr/bin:/bin`, HOME: folder },
    program(name) {
      const file = join(folder, name);
      const script = `printf '%s\\0' "$@" >'${file}.args'; env >'${file}.new'; mv '${file}.new' '${file}.env'`;
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
      return file;
    },
    async readCall(name) {
      const file = join(folder, name);
      for (let waited = 0; waited < 100 && !existsSync(`${file}.env`); waited += 1) await sleep(20);
      if (!existsSync(`${file}.env`)) return undefined;
      const args = readFileSync(`${file}.args`, 'utf8').split('\0').slice(0, -1);
      return { args, env: readFileSync(`${file}.env`, 'utf8').split('\n') };
    },
  };
}

void t.test('the address arrives as one argument, no shell having seen it', async (t) => {
  const { env, program, readCall } = setUpDesktop(t);
  const first = program('first');
  const cases = {
    [first]: [ADDRESS],
    [`${first} --new-window`]: ['--new-window', ADDRESS],
    [`${first} --url=%s -x`]: [`--url=${ADDRESS}`, '-x'],
    [`/nowhere/browser:${first}`]: [ADDRESS],
  };
  for (const [browser, args] of Object.entries(cases)) {
    rmSync(`${first}.env`, { force: true });
    t.equal(await openBrowser(fakeHost({ env: { ...env, BROWSER: browser } }), ADDRESS), undefined);
    t.strictSame((await readCall('first'))?.args, args, browser);
  }
});

void t.test("without BROWSER it is the desktop's", async (t) => {
  const { env, program, readCall } = setUpDesktop(t);
  program('xdg-open');
  t.equal(await openBrowser(fakeHost({ env }), ADDRESS), undefined);
  t.strictSame((await readCall('xdg-open'))?.args, [ADDRESS]);
});

void t.test('it gets no secret and nothing of ours', async (t) => {
  const { env, program, readCall } = setUpDesktop(t);
  const browser = program('browser');
  const ours = {
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
  await openBrowser(fakeHost({ env: { ...env, ...ours, BROWSER: browser, LANG: 'C' } }), ADDRESS);
  const got = await readCall('browser');
  t.notMatch(got?.env.join('\n'), 'canary');
  t.ok(got?.env.includes('DISPLAY=:0') && got.env.includes('LANG=C'), 'but what it needs');
});

void t.test('nothing is opened where nobody would see it, nor what is no address', async (t) => {
  const { env, program, readCall } = setUpDesktop(t);
  const BROWSER = program('browser');
  const cases = [
    [{ ...env, SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, ADDRESS, 'this is a remote session'],
    [{ ...env, SSH_TTY: '/dev/pts/1' }, ADDRESS, 'this is a remote session'],
    [{ ...env, DISPLAY: '' }, ADDRESS, 'there is no desktop'],
    [env, 'file:///etc/passwd', 'the address is none of the web'],
    [env, '--help', 'the address is none of the web'],
    [env, 'javascript:alert(1)', 'the address is none of the web'],
  ] as const;
  for (const [settings, address, why] of cases) {
    t.equal(await openBrowser(fakeHost({ env: { ...settings, BROWSER } }), address), why);
  }
  t.equal(await readCall('browser'), undefined);
  const none = { DISPLAY: ':0', PATH: '/nowhere', BROWSER: '/nowhere/browser' };
  t.equal(await openBrowser(fakeHost({ env: none }), ADDRESS), 'no browser could be started');
});
