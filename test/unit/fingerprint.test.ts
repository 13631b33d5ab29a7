import t from 'tap';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import { IDENTITY_VARIABLES, LOCATION_VARIABLES, SECRET_FLAGS } from '../../src/plugin/fast-path/fingerprint-inputs.ts';
import { SECRET_VARIABLES } from '../../src/plugin/fast-path/fingerprint-inputs.ts';
import { listFlagNames } from '../../src/shared/options/flags.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { fakeHost } from '../support/fake-host.ts';

const fingerprint = (argv: readonly string[], env: Record<string, string> = {}): string | undefined =>
  computeFingerprint(fakeHost({ argv, env }), '');

void t.test('the lists of the fast path match the option registry', async (t) => {
  const guessable = OPTIONS.filter((option) => option.secret && option.cacheKey === 'proof');
  const variables = (options: typeof OPTIONS): string[] =>
    options.flatMap((option) => [...(option.env ?? []), ...(option.legacyEnv ?? [])]).sort();
  t.same(SECRET_VARIABLES, variables(guessable));
  t.same(SECRET_FLAGS, guessable.flatMap(listFlagNames).sort());
  t.same([...IDENTITY_VARIABLES].sort(), variables(OPTIONS.filter((option) => !guessable.includes(option))));
});

void t.test('every listed variable changes the fingerprint, unless it is empty', async (t) => {
  const fingerprints = new Set([fingerprint([])]);
  const names = [...IDENTITY_VARIABLES, ...LOCATION_VARIABLES];
  for (const name of names) {
    fingerprints.add(fingerprint([], { [name]: 'x' }));
    if (name !== 'HOME' && fingerprint([], { [name]: '' }) !== fingerprint([]))
      t.fail(`an empty ${name} changes the fingerprint`);
  }
  t.equal(fingerprints.size, names.length + 1);
  t.not(fingerprint([], { HOME: '' }), fingerprint([]), 'an empty HOME is no home, not the one of the account');
});

void t.test('the presence of a secret changes the fingerprint, its value does not', async (t) => {
  for (const name of SECRET_VARIABLES) {
    t.equal(fingerprint([], { [name]: 'one' }), fingerprint([], { [name]: 'two' }), name);
    t.not(fingerprint([], { [name]: 'one' }), fingerprint([]), `presence of ${name}`);
  }
  for (const flag of SECRET_FLAGS) {
    t.equal(fingerprint([`${flag}=one`, '--user-name=a']), fingerprint([`${flag}=two`, '--user-name=a']), flag);
    t.equal(fingerprint([flag, 'one', '--user-name=a']), fingerprint([flag, 'two', '--user-name=a']), flag);
    t.not(
      fingerprint([flag, 'one', '--user-name=a']),
      fingerprint([flag, 'one', '--user-name=b']),
      'the next argument counts',
    );
  }
});

void t.test('an empty secret counts as unset, so it has another fingerprint than one with a value', async (t) => {
  for (const flag of SECRET_FLAGS) {
    t.not(fingerprint([`${flag}=`]), fingerprint([`${flag}=one`]), flag);
    t.not(fingerprint([flag, '']), fingerprint([flag, 'one']), flag);
    t.equal(fingerprint([flag, '']), fingerprint([`${flag}=`]), flag);
  }
});

void t.test('without a parser, a secret flag that may be the value of another flag has no fingerprint', async (t) => {
  for (const flag of SECRET_FLAGS) {
    t.equal(fingerprint(['--user-name', flag, '--project-name=a']), undefined, 'the user is called like a flag');
    t.equal(fingerprint(['--user-name', `${flag}=one`]), undefined);
    t.equal(fingerprint(['--', `${flag}=one`]), undefined);
    t.equal(fingerprint([flag]), undefined, 'without a value it is an error');
    t.ok(fingerprint(['--user-name', 'a', flag, 'one']), 'the value before it cannot be a flag');
    t.ok(fingerprint(['--user-name=a', `${flag}=one`]));
    t.ok(fingerprint([flag, '--looks-like-a-flag', flag, 'two']), 'a secret may look like a flag');
  }
});

void t.test('arguments, folder, user and cluster change the fingerprint', async (t) => {
  t.not(fingerprint(['a', 'b']), fingerprint(['a b']));
  t.not(fingerprint(['a', 'b']), fingerprint(['ab']));
  t.not(computeFingerprint(fakeHost({ cwd: '/a' }), ''), computeFingerprint(fakeHost({ cwd: '/b' }), ''));
  t.not(computeFingerprint(fakeHost({ uid: 1 }), ''), computeFingerprint(fakeHost({ uid: 2 }), ''));
  t.not(computeFingerprint(fakeHost(), '{"server":"a"}'), computeFingerprint(fakeHost(), '{"server":"b"}'));
});
