import t from 'tap';
import {
  findBunNames,
  findJscComparisons,
  SCRUBBED_BUN_NAMES,
  scrubBunNames,
} from '../../scripts/package/bun-binary/scrub-bun-names.ts';

/** Code that compares a variable with BUN_JSC_, as the compilers of Bun 1.4.5 write it. */
const COMPARISONS = {
  x64: '41803e4275e541807e015575de41807e024e75d741807e035f75d041807e044a75c941807e055375c241807e064375bb41807e075f75b4',
  arm64:
    '2a0140395f09017101ffff542a0540395f550171a1feff542a0940395f39017141feff542a0d40395f7d0171e1fdff54' +
    '2a1140395f29017181fdff542a1540395f4d017121fdff542a1940395f0d0171c1fcff542a1d40395f7d017161fcff54',
} as const;

const join = (...parts: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));

const NAMES = ['BUN_OF_A_LATER_VERSION', ...SCRUBBED_BUN_NAMES].map((name) => `\0${name}\0`).join('text');

for (const processor of ['x64', 'arm64'] as const) {
  const comparison = Buffer.from(COMPARISONS[processor], 'hex');

  await t.test(`names and the prefix are emptied for ${processor}, and nothing else changes`, async (t) => {
    const kept = '\0BUN_1.2\0 BUN_OPTIONS \0NODE_OPTIONS\0set $BUN_INSTALL\0';
    const program = join(kept, NAMES, comparison, 'end');
    const { length } = program;
    scrubBunNames(program, 'linux', processor);
    t.strictSame(findBunNames(program), []);
    t.strictSame(findJscComparisons(program, processor), []);
    t.equal(program.length, length);
    const text = program.toString('latin1');
    t.ok(text.startsWith(kept));
    t.ok(text.endsWith('end'));
    t.equal(text.split('text').length, NAMES.split('text').length);
  });

  await t.test(`a Bun for ${processor} that is not as expected is refused`, async (t) => {
    const refuses = (message: string, ...parts: readonly (string | Buffer)[]): void => {
      t.throws(() => {
        scrubBunNames(join(...parts), 'linux', processor);
      }, new RegExp(message));
    };
    refuses('BUN_OPTIONS 0 times', NAMES.replace('BUN_OPTIONS', 'BUN_CHOICES'), comparison);
    refuses('BUN_OPTIONS 2 times', NAMES, '\0BUN_OPTIONS\0', comparison);
    refuses('BUN_JSC_ in 0 places', NAMES);
    refuses('BUN_JSC_ in 2 places', NAMES, comparison, comparison);
  });
}

await t.test('a name that follows other text without a NUL is emptied too', (t) => {
  const comparison = Buffer.from(COMPARISONS.x64, 'hex');
  const merged = NAMES.replace('\0BUN_BYTECODE_ORDER_OUT', '\0BUN_OTHERBUN_BYTECODE_ORDER_OUT').replace(
    '\0BUN_OPTIONS',
    '\0emptyBUN_OPTIONS',
  );
  const program = join(merged, comparison);
  scrubBunNames(program, 'linux', 'x64');
  t.strictSame(findBunNames(program), []);
  t.notMatch(program.toString('latin1'), /BUN_(?:OPTIONS|BYTECODE_ORDER_OUT)/);
  t.end();
});

await t.test('each system has its own names', (t) => {
  const comparison = Buffer.from(COMPARISONS.arm64, 'hex');
  const mac = NAMES.replace('\0BUN_TRACE\0', '').replace('\0ICU_DATA\0', '').replace('\0ICU_TIMEZONE_FILES_DIR\0', '');
  scrubBunNames(join(mac, comparison), 'darwin', 'arm64');
  t.throws(() => {
    scrubBunNames(join(mac, comparison), 'linux', 'arm64');
  }, /BUN_TRACE 0 times, not 1/);
  t.throws(() => {
    scrubBunNames(join(NAMES, comparison), 'darwin', 'arm64');
  }, /BUN_TRACE 1 times, not 0/);
  t.end();
});
