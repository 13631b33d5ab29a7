// When a command prints colors, and the escape sequences that it uses (ECMA-48, section 8.3.117).

import t from 'tap';
import { chooseColors } from '../../src/plugin/commands/colors.ts';
import { fakeHost } from '../support/fake-host.ts';

const terminal = { columns: () => 80 };

void t.test('output has colors on a terminal', async (t) => {
  const { green, red, yellow, bold, dim } = chooseColors(fakeHost(terminal));
  t.strictSame(
    [green('a'), red('a'), yellow('a'), bold('a'), dim('a')],
    ['\x1b[32ma\x1b[39m', '\x1b[31ma\x1b[39m', '\x1b[33ma\x1b[39m', '\x1b[1ma\x1b[22m', '\x1b[2ma\x1b[22m'],
  );
  t.equal(chooseColors(fakeHost({ ...terminal, env: { NO_COLOR: '' } })).red('a'), '\x1b[31ma\x1b[39m');
});

void t.test('output has no colors without a terminal, or if they are turned off', async (t) => {
  const hosts = [
    fakeHost(),
    fakeHost({ ...terminal, env: { NO_COLOR: '1' } }),
    fakeHost({ ...terminal, env: { TERM: 'dumb' } }),
  ];
  for (const host of hosts)
    for (const paint of Object.values<(text: string) => string>({ ...chooseColors(host) })) t.equal(paint('a'), 'a');
});

void t.test("only the host's environment counts", async (t) => {
  const before = process.env['NO_COLOR'];
  t.teardown(() => {
    if (before === undefined) delete process.env['NO_COLOR'];
    else process.env['NO_COLOR'] = before;
  });
  process.env['NO_COLOR'] = '1';
  t.equal(chooseColors(fakeHost(terminal)).bold('a'), '\x1b[1ma\x1b[22m');
});
