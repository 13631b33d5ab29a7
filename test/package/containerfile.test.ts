/**
 * The structure of the Containerfile, and whether the libraries that it copies are all that the program needs. No image
 * is built, because no container engine is available in CI.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

const lines = readFileSync('packaging/Containerfile', 'utf8')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '');

interface Stage {
  readonly from: string;
  readonly name: string | undefined;
  readonly steps: readonly string[];
}

function readStages(): readonly Stage[] {
  const stages: { from: string; name: string | undefined; steps: string[] }[] = [];
  for (const line of lines) {
    const [, from, name] = /^FROM (\S+)(?: AS (\S+))?$/.exec(line) ?? [];
    if (from !== undefined) stages.push({ from, name, steps: [] });
    else stages.at(-1)?.steps.push(line);
  }
  return stages;
}

void t.test('the Containerfile has one stage without a base and one with a shell for CI', async (t) => {
  for (const line of lines)
    t.match(line, /^(?:ARG|FROM|RUN|COPY|ENV|USER|WORKDIR|ENTRYPOINT) \S/, line.split(' ', 2).join(' '));
  const [files, ci, last] = readStages();
  t.strictSame([files?.from, files?.name], ['${BASE}', 'files']);
  t.strictSame(ci, { from: 'scratch', name: 'ci', steps: ['COPY --from=files /ci/ /'] }, 'one layer');
  t.equal(last?.from, 'scratch', 'no shell, no package manager');
  t.equal(last?.steps.filter((step) => /^(?:COPY|ADD|RUN)/.test(step)).length, 1, 'one layer');
  const entry = last?.steps.find((step) => step.startsWith('ENTRYPOINT '))?.slice('ENTRYPOINT '.length);
  t.strictSame(JSON.parse(entry ?? ''), ['/usr/local/bin/client-keystone-auth']);
  t.ok(last?.steps.includes('USER 65532:65532'), 'not root');
  for (const step of files?.steps.filter((one) => one.startsWith('RUN ')) ?? [])
    execFileSync('sh', ['-n', '-c', step.slice('RUN '.length)]);
});

const skip =
  PACKAGED_EXECUTABLE === undefined
    ? 'npm test -- --packaged'
    : skipWithout('bubblewrap', () => canRun('bwrap', '--version'));

await t.test('the program runs with these libraries alone', { skip }, async (t) => {
  const root = t.testdir({});
  const step = lines.find((line) => line.includes('ldd ')) ?? '';
  const command = step.split(' && ').find((part) => part.startsWith('ldd ')) ?? '';
  t.match(command, '/root-of-image/');
  const program = '/ci/usr/local/bin/client-keystone-auth';
  execFileSync('sh', [
    '-c',
    command.replace(program, PACKAGED_EXECUTABLE ?? '').replaceAll('/root-of-image/', `${root}/`),
  ]);
  t.notOk(existsSync(join(root, 'bin/sh')));
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  copyFileSync(PACKAGED_EXECUTABLE ?? '', join(root, 'usr/local/bin/client-keystone-auth'));
  chmodSync(join(root, 'usr/local/bin/client-keystone-auth'), 0o755);
  // As a container engine does it.
  mkdirSync(join(root, 'proc'));
  const words = ['--bind', root, '/', '--ro-bind', '/proc', '/proc', '/usr/local/bin/client-keystone-auth', '--help'];
  t.match(execFileSync('bwrap', words, { encoding: 'utf8' }), 'Logs in to Kubernetes with OpenStack Keystone');
});
