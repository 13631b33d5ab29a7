/** A defect, in the programs or in a library, never ends a run without a word, and never ends the webhook. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { makeIsolatedCommand } from '../support/run-plugin.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program that prepares for unexpected ends and then does `act`. */
async function runProgram(folder: string, act: string): Promise<Ended> {
  const from = (path: string): string => JSON.stringify(resolve(path));
  const file = join(folder, 'program.ts');
  writeFileSync(
    file,
    `import { reportUnexpectedEnd, runToEnd } from ${from('src/plugin/cli/run-to-end.ts')};
import { makeProcessHost } from ${from('src/shared/base/host.ts')};
const host = makeProcessHost();
reportUnexpectedEnd(host);
await runToEnd(host, async () => { ${act} });
host.exitNow();
`,
  );
  const [program, words, options] = makeIsolatedCommand(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', file],
    {},
  );
  const child = spawn(program, words, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const status = await new Promise<number | null>((done) => child.once('close', done));
  return { status, stdout, stderr };
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
};

for (const [name, [act, says]] of Object.entries(ENDS)) {
  await t.test(name, async (t) => {
    const { status, stdout, stderr } = await runProgram(t.testdir(), act);
    t.equal(status, 1);
    t.equal(stdout, '');
    t.match(stderr, /^client-keystone-auth: internal error: [^\n]+; this is a bug, please report it\n$/);
    t.match(stderr, says);
  });
}

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
  while (!['RangeError', 'TypeError'].every((name) => webhook.readOutput().includes(`"error":"${name}"`))) {
    await webhook.sendRequest({ path: '/healthz' });
  }
  t.notMatch(webhook.readOutput(), /with a secret|^\s+at /m, 'one line each, without the message');
  const status = await webhook.reviewToken(makeFakeToken());
  t.match(status, { authenticated: false });
  t.equal(await webhook.stop(), 0);
});
