/** How values of clouds.yaml are read, and that an error names the key and never the value. */
import t from 'tap';
import { chooseRegion } from '../../src/plugin/config/region.ts';
import type { Region } from '../../src/plugin/config/region.ts';
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
  t.equal(textFrom(['a', null, 'b'], 'key of x', { asList: true }), 'a,,b');
  const failure = { code: 'config-invalid', message: 'key of x must be text', hint: /write one value after the key/ };
  t.throws(() => textFrom(['a-secret'], 'key of x'), failure);
  t.throws(() => textFrom(new Map([['a', 'a-secret']]), 'key of x', { asList: true }), failure);
  t.throws(() => textFrom([['a-secret']], 'key of x', { asList: true }), failure, 'a list in a list');
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

/** The region of a cloud without a profile. */
const choose = (cloud: readonly CloudEntry[], setting?: typeof SETTING): Region =>
  chooseRegion({ cloud, profile: [] }, setting);

void t.test('the region is the one that is set, or the first one in the list', async (t) => {
  const cloud = entryOf({ regions });
  t.match(choose([cloud]), { selector: { text: 'A', origin: 'regions of cloud x' }, entries: [], warnings: [] });
  const set = choose([cloud], SETTING);
  t.strictSame(set.selector, { text: 'B', origin: 'OS_REGION_NAME', consentHint: undefined });
  t.strictSame(set.entries[0]?.mapping, new Map([['auth_url', 'b']]));
  t.equal(set.entries[0]?.location, 'region B of cloud x');
  t.equal(set.entries[0]?.consentHint, undefined);
  t.strictSame(choose([entryOf({ regions, region_name: 'A' })]).warnings, []);
  const other = choose([entryOf({ regions, region_name: 'B' })]);
  t.equal(other.selector?.text, 'A', 'as in openstacksdk');
  t.strictSame(other.warnings, ['region_name of cloud x is not used: the first of the regions of cloud x is A']);
});

void t.test('region_name can be a list, in YAML or with commas', async (t) => {
  for (const names of [['A', 'B'], 'A,B', 'A, B']) {
    const cloud = entryOf({ region_name: names }, 'cloud x', 'hint');
    const first = { text: 'A', origin: 'region_name of cloud x', consentHint: 'hint' };
    t.strictSame(choose([cloud]).selector, first);
    t.equal(choose([cloud], SETTING).selector?.text, 'B');
    t.throws(() => choose([cloud], { ...SETTING, value: 'C' }), {
      message: /names region "C"/,
      hint: 'set it to A, B',
    });
  }
  t.equal(choose([entryOf({ region_name: 'A' })], SETTING).selector?.text, 'B', 'one name is no list of all regions');
  const profile = [entryOf({ regions: ['P'] })];
  t.equal(chooseRegion({ cloud: [entryOf({ region_name: 'A' })], profile }, undefined).selector?.text, 'A');
});

void t.test('without a list every region is accepted, and the first entry with a list counts', async (t) => {
  const [entries, warnings] = [[], []];
  const selector = { text: 'B', origin: 'OS_REGION_NAME', consentHint: undefined };
  t.strictSame(choose([entryOf({})], SETTING), { selector, entries, warnings });
  t.strictSame(choose([entryOf({ regions: [] })]), { selector: undefined, entries, warnings });
  const profile = [entryOf({ regions: ['C'] }, 'profile p', 'hint')];
  const ofProfile = { text: 'C', origin: 'regions of profile p', consentHint: 'hint' };
  t.strictSame(chooseRegion({ cloud: [entryOf({})], profile }, undefined).selector, ofProfile);
  t.equal(chooseRegion({ cloud: [entryOf({}), entryOf({ regions })], profile }, undefined).selector?.text, 'A');
});

void t.test('a region that the cloud does not list is an error with the regions to choose from', async (t) => {
  t.throws(() => choose([entryOf({ regions: ['A', 'C'] })], SETTING), {
    code: 'config-invalid',
    message: 'OS_REGION_NAME names region "B", which the cloud does not list',
    hint: 'set it to A, C',
  });
});

void t.test('a list of regions that is not a list, or has a region without a name, is an error', async (t) => {
  t.throws(() => choose([entryOf({ regions: 'A' })]), {
    message: 'regions of cloud x must be a list',
    hint: /^correct the file/,
  });
  const nested = [new Map<string, YamlValue>([['name', ['A']]])];
  t.throws(() => choose([entryOf({ regions: nested })]), {
    message: 'name in regions of cloud x must be text',
  });
});
