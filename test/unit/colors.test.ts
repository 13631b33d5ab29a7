// When a command prints colors, and the escape sequences that it uses (ECMA-48, section 8.3.117).

import t from 'tap';
import { chooseColors } from '../../src/plugin/commands/colors.ts';
import { makePrintable } from '../../src/shared/base/terminal-text.ts';
import { fakeHost } from '../support/fake-host.ts';

const STYLES = ['green', 'red', 'yellow', 'bold', 'dim'] as const;
const a = makePrintable('a');
const terminal = { columns: () => 80 };

void t.test('output has colors on a terminal', async (t) => {
  const paint = chooseColors(fakeHost(terminal));
  t.strictSame(
    STYLES.map((style) => paint(style, a)),
    ['\x1b[32ma\x1b[39m', '\x1b[31ma\x1b[39m', '\x1b[33ma\x1b[39m', '\x1b[1ma\x1b[22m', '\x1b[2ma\x1b[22m'],
  );
  t.equal(chooseColors(fakeHost({ ...terminal, env: { NO_COLOR: '' } }))('red', a), '\x1b[31ma\x1b[39m');
});

void t.test('output has no colors without a terminal, or if they are turned off', async (t) => {
  const hosts = [
    fakeHost(),
    fakeHost({ ...terminal, env: { NO_COLOR: '1' } }),
    fakeHost({ ...terminal, env: { TERM: 'dumb' } }),
  ];
  for (const host of hosts) for (const style of STYLES) t.equal(chooseColors(host)(style, a), 'a');
});

void t.test("only the host's environment counts", async (t) => {
  const before = process.env['NO_COLOR'];
  t.teardown(() => {
    if (before === undefined) delete process.env['NO_COLOR'];
    else process.env['NO_COLOR'] = before;
  });
  process.env['NO_COLOR'] = '1';
  t.equal(chooseColors(fakeHost(terminal))('bold', a), '\x1b[1ma\x1b[22m');
});
