/** How values of clouds.yaml are read, and that an error names the key and never the value. */
import t from 'tap';
import { chooseRegion } from '../../src/plugin/config/region.ts';
import { describeChoices, findSelector, inheritConsentHint } from '../../src/plugin/config/cloud-entry.ts';
import type { CloudEntry } from '../../src/plugin/config/cloud-entry.ts';
import { mappingAt, textFrom } from '../../src/plugin/config/yaml-mapping.ts';
import type { YamlValue } from '../../src/shared/options/yaml.ts';

void t.test('a mapping that is missing is empty, and everything else than a mapping is an error', async (t) => {
  const inner = new Map<string, YamlValue>([['a', 'b']]);
  t.equal(mappingAt(new Map([['auth', inner]]), 'auth', 'cloud x'), inner);
  t.equal(mappingAt(new Map(), 'auth', 'cloud x').size, 0);
  t.equal(mappingAt(new Map([['auth', null]]), 'auth', 'cloud x').size, 0);
  for (const value of ['a-secret', ['a-secret']]) {
    t.throws(() => mappingAt(new Map<string, YamlValue>([['auth', value]]), 'auth', 'cloud x'), {
      code: 'config-invalid',
      message: 'auth of cloud x must be a mapping of names to values',
      hint: /^correct the file/,
    });
  }
});

void t.test('a text is read unchanged, and a list only where a list is allowed', async (t) => {
  t.equal(textFrom(null, 'key of x'), '');
  t.equal(textFrom(' text ', 'key of x'), ' text ');
  t.equal(textFrom(['a', null, 'b'], 'key of x', true), 'a,,b');
  const failure = { code: 'config-invalid', message: 'key of x must be text', hint: /write one value after the key/ };
  t.throws(() => textFrom(['a-secret'], 'key of x'), failure);
  t.throws(() => textFrom(new Map([['a', 'a-secret']]), 'key of x', true), failure);
  t.throws(() => textFrom([['a-secret']], 'key of x', true), failure, 'a list in a list');
});

void t.test('a message lists at most twenty names, each of at most 64 characters', async (t) => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${String(index)}`);
  t.equal(describeChoices([]), 'an existing name (there are none)');
  t.equal(describeChoices(['a', 'b']), 'a, b');
  t.equal(describeChoices(names(20)), names(20).join(', '));
  t.equal(describeChoices(names(21)), `${names(20).join(', ')} or one of 1 more`);
  t.equal(describeChoices(['x'.repeat(64)]), 'x'.repeat(64));
  t.equal(describeChoices(['x'.repeat(65)]), `${'x'.repeat(64)}…`);
});

type Values = Readonly<Record<string, YamlValue>>;

const entryOf = (values: Values, location = 'cloud x', consentHint?: string): CloudEntry => ({
  mapping: new Map(Object.entries(values)),
  location,
  consentHint,
});

void t.test('the first key that is set selects, in the first entry that sets one', async (t) => {
  const [first, second] = [entryOf({ cloud: 'c', empty: '' }, 'cloud x', 'hint'), entryOf({ profile: 'p' }, 'cloud y')];
  const found = { text: 'c', origin: 'cloud of cloud x', consentHint: 'hint' };
  t.strictSame(findSelector([first, second], 'profile', 'cloud'), found);
  t.strictSame(findSelector([first], 'empty', 'cloud'), found);
  t.strictSame(findSelector([second, first], 'profile', 'cloud'), {
    text: 'p',
    origin: 'profile of cloud y',
    consentHint: undefined,
  });
  t.equal(findSelector([first, second], 'empty'), undefined);
});

void t.test('an entry that an untrusted entry selects is untrusted, and keeps its own hint', async (t) => {
  const selector = { text: 'p', origin: 'o', consentHint: 'of the selector' };
  t.equal(inheritConsentHint(selector, entryOf({})).consentHint, 'of the selector');
  t.equal(inheritConsentHint(selector, entryOf({}, 'x', 'of the entry')).consentHint, 'of the entry');
  t.equal(inheritConsentHint(undefined, entryOf({})).consentHint, undefined);
});

const SETTING = { value: 'B', origin: 'OS_REGION_NAME' };
const regions: YamlValue = [
  'A',
  new Map<string, YamlValue>([
    ['name', 'B'],
    ['values', new Map([['auth-url', 'b']])],
  ]),
];

void t.test('the region is the one that is set, or that the cloud selects, or the first one in the list', async (t) => {
  const cloud = entryOf({ regions });
  t.match(chooseRegion([cloud], undefined, undefined), {
    selector: { text: 'A', origin: 'regions of cloud x' },
    entries: [],
  });
  const set = chooseRegion([cloud], SETTING, { text: 'A', origin: 'o', consentHint: 'h' });
  t.strictSame(set.selector, { text: 'B', origin: 'OS_REGION_NAME', consentHint: undefined });
  t.strictSame(set.entries[0]?.mapping, new Map([['auth_url', 'b']]));
  t.equal(set.entries[0]?.location, 'region B of cloud x');
  t.equal(set.entries[0]?.consentHint, undefined);
  const selected = chooseRegion([cloud], undefined, { text: 'B', origin: 'o', consentHint: 'h' });
  t.strictSame(selected.selector, { text: 'B', origin: 'o', consentHint: 'h' });
  t.equal(selected.entries[0]?.consentHint, 'h', 'an untrusted entry has selected the region');
});

void t.test('without a list every region is accepted, and the first entry with a list counts', async (t) => {
  t.strictSame(chooseRegion([entryOf({})], SETTING, undefined), {
    selector: { text: 'B', origin: 'OS_REGION_NAME', consentHint: undefined },
    entries: [],
  });
  t.strictSame(chooseRegion([entryOf({ regions: [] })], undefined, undefined), { selector: undefined, entries: [] });
  const entries = [entryOf({}), entryOf({ regions: ['C'] }, 'profile p', 'hint'), entryOf({ regions })];
  t.strictSame(chooseRegion(entries, undefined, undefined).selector, {
    text: 'C',
    origin: 'regions of profile p',
    consentHint: 'hint',
  });
});

void t.test('a region that the cloud does not list is an error with the regions to choose from', async (t) => {
  t.throws(() => chooseRegion([entryOf({ regions: ['A', 'C'] })], SETTING, undefined), {
    code: 'config-invalid',
    message: 'OS_REGION_NAME names region "B", which the cloud does not list',
    hint: 'set it to A, C',
  });
});

void t.test('a list of regions that is not a list, or has a region without a name, is an error', async (t) => {
  t.throws(() => chooseRegion([entryOf({ regions: 'A' })], undefined, undefined), {
    message: 'regions of cloud x must be a list',
    hint: /^correct the file/,
  });
  const nested = [new Map<string, YamlValue>([['name', ['A']]])];
  t.throws(() => chooseRegion([entryOf({ regions: nested })], undefined, undefined), {
    message: 'name in regions of cloud x must be text',
  });
});
