// Files that are read while somebody writes them.

import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { isAllowed } from '../../src/webhook/issuer/audience.ts';
import { parseAudiences } from '../../src/webhook/issuer/audiences-file.ts';
import { startFileWatcher } from '../../src/webhook/sources/file-watcher.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';
import { OWNER } from '../support/token-owner.ts';

const SECOND_MS = 1_000;

interface Fixture {
  readonly path: string;
  readonly clock: VirtualClock;
  /** The values and failures so far. */
  readonly changes: readonly unknown[];
  readonly check: () => void;
}

function watch(t: Test, text: string, parse: (text: string) => unknown = (content) => content): Fixture {
  const [path, clock, changes] = [join(t.testdir(), 'file'), makeVirtualClock(), [] as unknown[]];
  writeFileSync(path, text);
  const watcher = startFileWatcher({
    files: [{ path, origin: '--file' }],
    parse: ([content = '']) => parse(content),
    intervalMs: SECOND_MS,
    clock,
    onChange: (change) => changes.push('value' in change ? change.value : change.failure),
    onConfirmed: () => undefined,
  });
  t.teardown(() => {
    watcher.close();
  });
  return { path, clock, changes, check: watcher.check };
}

void t.test('the first half of a file is never applied, however valid it is', async (t) => {
  const domain = { id: 'd', name: 'other' };
  const owner = { ...OWNER, userDomain: domain, projectDomain: domain };
  const isOpen = (text: string): boolean => {
    const audience = parseAudiences(text, 'audiences.yaml').get('prod');
    return audience !== undefined && isAllowed(owner, audience);
  };
  const start = 'audiences:\n  - name: prod\n    allow:\n      - ';
  const { path, clock, changes } = watch(t, `${start}roles: [admin]\n`, isOpen);
  const [half, rest] = [`${start}roles: [member]\n`, '        domains: [acme]\n'];
  t.ok(isOpen(half), 'the first half alone would let everybody in');
  // At any moment between two looks at the file.
  for (const moment of [0, 100, 499, 501, 999]) {
    await clock.advance(moment);
    writeFileSync(path, half);
    await clock.advance(250);
    appendFileSync(path, rest);
    await clock.advance(SECOND_MS * 2 - moment - 250);
    writeFileSync(path, `${start}roles: [admin]\n`);
    await clock.advance(SECOND_MS * 2);
  }
  t.ok(changes.length > 0);
  t.notOk(changes.includes(true), 'nobody else got in');
});

void t.test('a change counts within two seconds, and at once if somebody says so', async (t) => {
  const { path, clock, changes, check } = watch(t, 'one');
  await clock.advance(SECOND_MS / 2 + 1);
  writeFileSync(path, 'two');
  await clock.advance(SECOND_MS / 2 - 1);
  t.strictSame(changes, []);
  await clock.advance(SECOND_MS);
  t.strictSame(changes, ['two']);
  writeFileSync(path, 'three');
  check();
  t.strictSame(changes, ['two', 'three']);
  await clock.advance(SECOND_MS * 5);
  t.equal(changes.length, 2);
});

void t.test('a file that is away for a moment while it is replaced is no failure', async (t) => {
  const { path, clock, changes } = watch(t, 'one');
  await clock.advance(SECOND_MS / 2 - 1);
  rmSync(path);
  await clock.advance(2);
  writeFileSync(path, 'two');
  await clock.advance(SECOND_MS * 2);
  t.strictSame(changes, ['two']);
  rmSync(path);
  await clock.advance(SECOND_MS * 2);
  t.equal(changes.length, 2);
  t.match(changes[1], /--file/);
});
