/** What other implementations say about the executables for macOS, which does not run a program with a wrong signature. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'tap';
import { findPythonPackages } from '../../scripts/lib/python-packages.ts';
import { executablePath, TARGETS } from '../../scripts/package/targets.ts';
import { canRun, skipBecause, skipWithout } from '../support/missing-tools.ts';
import { readRuntime } from '../support/packaged-runtime.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

const SCRIPT = 'test/support/check_mach_o.py';

/** An ad-hoc signature has an empty place for a certificate, as the one of Apple's codesign, which rcodesign does not know. */
const AD_HOC = 'CMS error: missing further values (at position 0)';

/** Bun places its section by pages of 4 KiB on x64, but says 16 KiB. macOS loads segments, not sections. */
const LAYOUT_OF_BUN = /^section '__bun' offset \(0x[0-9a-f]+\) is misaligned \(align=0x4000\)\n?$/;

const packages =
  PACKAGED_EXECUTABLE === undefined
    ? { missing: '' }
    : await findPythonPackages('mach-o-1.0.0-0.1.0', ['lief==1.0.0', 'apple-platform-py==0.1.0']);

function findSkip(paths: readonly string[]): string | false {
  if (PACKAGED_EXECUTABLE === undefined) return 'npm test -- --packaged';
  if ('missing' in packages) return skipBecause(packages.missing);
  const missing = paths.find((path) => !existsSync(path));
  return (
    skipWithout(missing ?? '', () => missing === undefined) ||
    skipWithout('bubblewrap', () => canRun('bwrap', '--version'))
  );
}

/** Reads the programs without a network, and where nothing can be written. */
async function listProblems(paths: readonly string[]): Promise<readonly (readonly string[])[]> {
  const python = 'python' in packages ? packages.python : '';
  const jail = ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', '--dev', '/dev'];
  const { stdout } = await promisify(execFile)('bwrap', [...jail, python, resolve(SCRIPT), ...paths], { env: {} });
  return JSON.parse(stdout) as readonly (readonly string[])[];
}

const targets = TARGETS.filter(({ format }) => format === 'mach-o');
const paths = targets.map((target) => resolve(executablePath(target)));

void test('other implementations find each page signed, and the layout right', { skip: findSkip(paths) }, async (t) => {
  const found = await listProblems(paths);
  for (const [index, target] of targets.entries()) {
    const isMisaligned = target.bun.processor === 'x64' && readRuntime(target) === 'bun';
    const expected = [...(isMisaligned ? [LAYOUT_OF_BUN] : []), AD_HOC];
    t.match(found[index], expected, target.name);
    t.equal(found[index]?.length, expected.length, JSON.stringify(found[index]));
  }
});

void test('they notice a byte that changes after the signature', { skip: findSkip(paths) }, async (t) => {
  const [path = ''] = paths;
  const program = readFileSync(path);
  const at = Math.floor(program.length / 2);
  program.writeUInt8(program.readUInt8(at) ^ 1, at);
  const changed = join(t.testdir({}), 'changed');
  writeFileSync(changed, program);
  const [problems = []] = await listProblems([changed]);
  t.match(problems.at(-1), `code digest mismatch for entry ${Math.floor(at / 4096)};`);
});
