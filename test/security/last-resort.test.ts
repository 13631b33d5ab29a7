/** A defect, in the programs or in a library, never ends a run without a word, and never ends the webhook. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { collectResult } from '../../scripts/lib/child-result.ts';
import type { ChildResult } from '../../scripts/lib/child-result.ts';
import { fetchPackageFile } from '../../scripts/lib/npm-package.ts';
import { hostTarget } from '../../scripts/package/targets.ts';
import { makeIsolatedCommand, RUNTIME } from '../support/run-plugin.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';

/** Runs a program that prepares for unexpected ends and then does `act`. */
async function runProgram(runtime: readonly string[], folder: string, act: string): Promise<ChildResult> {
  const from = (path: string): string => JSON.stringify(resolve(path));
  const file = join(folder, 'program.ts');
  writeFileSync(
    file,
    `import { reportUnexpectedEnd, runToEnd } from ${from('src/plugin/cli/run-to-end.ts')};
import { makeProcessHost } from ${from('src/shared/base/host.ts')};
const host = makeProcessHost();
const hasReported = reportUnexpectedEnd(host);
// As in the bundles, without an await of the module: Bun waits for one forever.
void runToEnd(host, async () => { ${act} }).then(() => {
  hasReported();
  host.exitNow();
});
`,
  );
  const [command = '', ...flags] = runtime;
  const [program, words, options] = makeIsolatedCommand(command, [...flags, file], {});
  return collectResult(spawn(program, words, { ...options, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }));
}

const ENDS: Readonly<Record<string, readonly [act: string, says: RegExp]>> = {
  'an event loop that runs dry': ['await new Promise(() => undefined);', /nothing is left to wait for/],
  'a timer that does not count': [
    'setTimeout(() => undefined, 1000).unref(); await new Promise(() => undefined);',
    /nothing is left to wait for/,
  ],
  'an error in a callback': [
    "setTimeout(() => { throw new TypeError('a defect'); }); await new Promise(() => setInterval(() => undefined, 1000));",
    /TypeError: a defect/,
  ],
  'a promise that nobody handles': [
    "void Promise.reject(new Error('a defect')); await new Promise(() => setInterval(() => undefined, 1000));",
    /Error: a defect/,
  ],
  'a library that ends the process': ['process.exit();', /the process ends, and there is no result/],
  'a library that ends the process as if all were well': [
    'process.exit(0);',
    /the process ends, and there is no result/,
  ],
  'an error on Windows while a thread is blocked': [
    `Object.defineProperties(process, {
      platform: { value: 'win32' },
      getActiveResourcesInfo: { value: () => ['GetAddrInfoReqWrap'] },
      execve: { value: () => { throw new Error('not on Windows'); } },
    });
    throw new TypeError('a defect');`,
    /TypeError: a defect/,
  ],
};

async function checkEnds(t: Test, ...runtime: readonly string[]): Promise<void> {
  for (const [name, [act, says]] of Object.entries(ENDS)) {
    await t.test(name, async (t) => {
      const { status, stdout, stderr } = await runProgram(runtime, t.testdir(), act);
      t.equal(status, 1);
      t.equal(stdout, '');
      t.match(stderr, /^client-keystone-auth: internal error: [^\n]+; this is a bug, please report it\n$/);
      t.match(stderr, says);
    });
  }
}

await t.test('on Node, the plugin reports', (t) =>
  checkEnds(t, process.execPath, '--disable-warning=ExperimentalWarning'),
);

const withoutBun = RUNTIME === 'bun' ? false : 'npm run package -- --runtime bun, then npm test -- --packaged --made';
await t.test('on Bun, the plugin reports', { skip: withoutBun }, async (t) => {
  const bun = join(t.testdir({}), 'bun');
  const { name, file } = hostTarget().bun;
  writeFileSync(bun, await fetchPackageFile(name, file), { mode: 0o755 });
  await checkEnds(t, bun);
});

await t.test('the webhook goes on after an error that nothing handles', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const defect = join(t.testdir(), 'defect.cjs');
  writeFileSync(
    defect,
    `process.once('SIGUSR2', () => {
       void Promise.reject(new RangeError('with a secret'));
       setImmediate(() => { throw new TypeError('with a secret'); });
     });`,
  );
  const webhook = await startWebhookProcess(t, {
    keystone: standIn,
    env: { NODE_OPTIONS: `--require ${defect}` },
  });
  process.kill(webhook.pid, 'SIGUSR2');
  await waitUntil('the webhook reports both', () =>
    ['RangeError', 'TypeError'].every((name) => webhook.readOutput().includes(`"error":"${name}"`)),
  );
  t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
  t.notMatch(webhook.readOutput(), /with a secret|^\s+at /m, 'one line each, without the message');
  const status = await webhook.reviewToken(makeFakeToken());
  t.match(status, { authenticated: false });
  t.equal(await webhook.stop(), 0);
});
