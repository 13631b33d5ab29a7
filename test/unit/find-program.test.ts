// Finds the program of a command, by the rules of Linux and of Windows.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { PROGRAM_NAME } from '../../src/shared/base/program.ts';
import { findProgram } from '../../src/plugin/programs/find-program.ts';
import { fakeHost } from '../support/fake-host.ts';

function writeProgram(path: string, mode = 0o755): string {
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, mode);
  return path;
}

function makeFolders(t: Test): { first: string; second: string; PATH: string } {
  const folder = t.testdir();
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  for (const path of [first, second]) mkdirSync(path);
  return { first, second, PATH: `${first}:${second}` };
}

void t.test('a name is searched on the PATH, in its order', async (t) => {
  const { first, second, PATH } = makeFolders(t);
  t.equal(findProgram(PROGRAM_NAME, fakeHost({ env: { PATH } })), undefined, 'the program does not exist');
  const last = writeProgram(join(second, PROGRAM_NAME));
  t.equal(findProgram(PROGRAM_NAME, fakeHost({ env: { PATH } })), last);
  writeProgram(join(first, PROGRAM_NAME), 0o644);
  t.equal(findProgram(PROGRAM_NAME, fakeHost({ env: { PATH } })), last, 'a file that cannot be executed is skipped');
  chmodSync(join(first, PROGRAM_NAME), 0o755);
  t.equal(findProgram(PROGRAM_NAME, fakeHost({ env: { PATH } })), join(first, PROGRAM_NAME));
  t.equal(
    findProgram(PROGRAM_NAME, fakeHost({ env: { Path: PATH } })),
    join(first, PROGRAM_NAME),
    'Path is another spelling of PATH',
  );
});

void t.test('the current folder is never searched', async (t) => {
  const { first } = makeFolders(t);
  writeProgram(join(first, PROGRAM_NAME));
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  process.chdir(first);
  for (const env of [{}, { PATH: '' }, { PATH: ':' }]) t.equal(findProgram(PROGRAM_NAME, fakeHost({ env })), undefined);
});

void t.test('a name with a slash is a path, and no PATH is searched', async (t) => {
  const { first, second } = makeFolders(t);
  const path = writeProgram(join(first, PROGRAM_NAME));
  t.equal(findProgram(path, fakeHost({ env: {} })), path);
  t.equal(findProgram(`first/${PROGRAM_NAME}`, fakeHost({ env: { PATH: join(first, '..') } })), undefined);
  t.equal(findProgram(join(second, PROGRAM_NAME), fakeHost({ env: { PATH: first } })), undefined);
  t.equal(
    findProgram(`${first}/../first/${PROGRAM_NAME}`, fakeHost()),
    `${first}/../first/${PROGRAM_NAME}`,
    'the path is returned unchanged',
  );
});

void t.test('on Windows, .exe and .cmd are tried before the name itself', async (t) => {
  const { first } = makeFolders(t);
  const host = fakeHost({ platform: 'win32', env: {} });
  const path = writeProgram(join(first, PROGRAM_NAME));
  t.equal(findProgram(path, host), path);
  writeProgram(`${path}.cmd`);
  t.equal(findProgram(path, host), `${path}.cmd`);
  writeProgram(`${path}.exe`);
  t.equal(findProgram(path, host), `${path}.exe`);
});
