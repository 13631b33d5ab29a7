/** Replacing a file that another program may have open. */
import t from 'tap';
import { renameOver } from '../../src/shared/base/rename-over.ts';
import type { RenameSystem } from '../../src/shared/base/rename-over.ts';

interface Attempts {
  readonly system: RenameSystem;
  readonly names: string[];
  readonly waits: number[];
}

/** A system that refuses the first renames with a code. */
function refuse(count: number, code: string, isWindows = true): Attempts {
  const [names, waits]: [string[], number[]] = [[], []];
  return {
    names,
    waits,
    system: {
      isWindows,
      rename: (from, to) => {
        names.push(`${from} ${to}`);
        if (names.length <= count) throw Object.assign(new Error(code), { code });
      },
      wait: (ms) => {
        waits.push(ms);
      },
    },
  };
}

void t.test('on Windows, a file that is open elsewhere for a moment is replaced', async (t) => {
  for (const code of ['EPERM', 'EACCES', 'EBUSY']) {
    const { system, names, waits } = refuse(3, code);
    renameOver('new', 'old', system);
    t.strictSame(names, Array<string>(4).fill('new old'), code);
    t.strictSame(waits, [1, 2, 4]);
  }
});

void t.test('on Windows, a file that stays open is an error after half a second', async (t) => {
  const { system, waits } = refuse(Infinity, 'EPERM');
  t.throws(
    () => {
      renameOver('new', 'old', system);
    },
    { code: 'EPERM' },
  );
  t.equal(
    waits.reduce((sum, ms) => sum + ms, 0),
    511,
  );
});

void t.test('another error, or another system, has one attempt', async (t) => {
  for (const { system, names, waits } of [refuse(1, 'ENOSPC'), refuse(1, 'EPERM', false), refuse(1, 'EACCES', false)]) {
    t.throws(() => {
      renameOver('new', 'old', system);
    });
    t.equal(names.length, 1);
    t.strictSame(waits, []);
  }
});
