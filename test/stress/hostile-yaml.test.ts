/**
 * Hostile files as clouds.yaml. Each must be read or rejected quickly and with little memory, and no message may quote
 * the content of a file.
 */
import { spawnSync } from 'node:child_process';
import type { SpawnSyncReturns } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import t from 'tap';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import { ConfigError } from '../../src/shared/base/errors.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { CANARY, HOSTILE_FILES } from '../support/hostile-yaml.ts';
import { checkNoProblems } from '../support/stress.ts';
import { fakeHost } from '../support/fake-host.ts';
import { makeIsolatedCommand, PLUGIN_PATH } from '../support/run-plugin.ts';

/**
 * A file that multiplies the work of the parser would take hours, and any other file a fraction of a second; see `npm
 * run bench:stress`. This is between the two on any machine.
 */
const LIMIT_CPU_MS = 20_000;
const LIMIT_MEMORY = 100 * 1024 * 1024;

await t.test('hostile files are read or rejected without endless work, and never quoted', async (t) => {
  const home = t.testdir({});
  const folder = join(home, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'clouds.yaml');
  const host = fakeHost({ cwd: home, home: () => home, env: { OS_CLOUD: 'c' } });
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const read = async (content: string | Buffer): Promise<{ spentMs: number; error: unknown }> => {
    writeFileSync(path, content);
    const startedAt = cpuMs();
    const error: unknown = await readConfig(host, new Map(), OPTIONS).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return { spentMs: cpuMs() - startedAt, error };
  };
  const problems: string[] = [];
  let rejected = 0;
  for (const [name, content] of Object.entries(HOSTILE_FILES)) {
    const { spentMs, error } = await read(content);
    if (spentMs > LIMIT_CPU_MS) problems.push(`${name}: ${String(Math.round(spentMs))} ms`);
    if (error === undefined) continue;
    rejected += 1;
    if (!(error instanceof ConfigError)) {
      problems.push(`${name}: ${error instanceof Error ? error.message : 'no error'}`);
      continue;
    }
    const cause = error.cause === undefined ? '' : inspect(error.cause);
    const text = `${error.message} ${error.hint ?? ''} ${cause}`;
    if (text.includes(CANARY)) problems.push(`${name} is quoted: ${text.slice(0, 200)}`);
    if (text.length > 2_000) problems.push(`${name}: ${String(text.length)} characters in the message`);
  }
  t.equal(({} as { polluted?: unknown }).polluted, undefined, 'no prototype was changed');
  const count = Object.keys(HOSTILE_FILES).length;
  t.ok(count >= 200, `${String(count)} files`);
  checkNoProblems(t, problems, `${String(count)} files, ${String(rejected)} rejected`);
});

await t.test(
  'the worst files need little memory',
  { skip: process.platform !== 'linux' && 'only Linux reports the peak' },
  async (t) => {
    const home = t.testdir({});
    const folder = join(home, '.config', 'openstack');
    mkdirSync(folder, { recursive: true });
    // Measures the built program, because compiling the TypeScript sources needs more memory than any file.
    const recorder = join(home, 'recorder.cjs');
    const peakFile = join(home, 'peak');
    writeFileSync(
      recorder,
      `process.on('exit', () => {
  const { readFileSync, writeFileSync } = require('node:fs');
  // Not from getrusage, which starts with the value of the parent process.
  writeFileSync(${JSON.stringify(peakFile)}, /VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
});
`,
    );
    const peak = (file: string): { bytes: number; result: SpawnSyncReturns<string> } => {
      const env = { HOME: home, OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: file };
      const [command, args, options] = makeIsolatedCommand(process.execPath, ['--require', recorder, PLUGIN_PATH], env);
      const result = spawnSync(command, args, { ...options, encoding: 'utf8' });
      return { bytes: Number(readFileSync(peakFile, 'utf8')) * 1024, result };
    };
    const harmless = join(folder, 'harmless.yaml');
    writeFileSync(harmless, 'clouds: {c: {}}');
    const worst = [
      'laughs of 50 levels, lists',
      '4000 keys merged 2000 times',
      'a list of merges',
      'lists of lists, many',
      'pairs in a list',
      'many keys of auth',
      'many clouds',
      'a long password',
      'sixteen megabytes',
      'keys of 15 lists',
      'only "- !!str a\\n"',
    ];
    const problems: string[] = [];
    let maxBytes = 0;
    const baseline = peak(harmless).bytes;
    for (const [index, name] of worst.entries()) {
      const hostile = join(folder, `${String(index)}.yaml`);
      const content = HOSTILE_FILES[name];
      if (content === undefined) throw new Error(`no file is named ${name}`);
      writeFileSync(hostile, content);
      const { bytes, result } = peak(hostile);
      const extraBytes = bytes - baseline;
      maxBytes = Math.max(maxBytes, extraBytes);
      if (!(extraBytes <= LIMIT_MEMORY)) problems.push(`${name}: ${String(extraBytes)} bytes`);
      // Without a terminal, the plugin cannot prompt for missing settings.
      if (![3, 4].includes(result.status ?? -1) || result.stdout !== '')
        problems.push(`${name}: ${result.stdout}${result.stderr}`);
    }
    t.ok(baseline > 1_048_576, 'the measurement works');
    checkNoProblems(
      t,
      problems,
      `${String(worst.length)} of the worst take ${String(Math.round(maxBytes / 1_048_576))} MB at most`,
    );
  },
);
