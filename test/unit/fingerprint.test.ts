import t from 'tap';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import {
  LOCATION_VARIABLES,
  IDENTITY_VARIABLES,
  SECRET_FLAGS,
  SECRET_VARIABLES,
} from '../../src/plugin/fast-path/fingerprint-inputs.ts';
import { listFlagNames } from '../../src/shared/options/flags.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { fakeHost } from '../support/fake-host.ts';

const of = (argv: readonly string[], env: Record<string, string> = {}): string =>
  computeFingerprint(fakeHost({ argv, env }), '');

void t.test('the lists of the hit path are those of the registry', async (t) => {
  const guessable = OPTIONS.filter((option) => option.secret && !option.random);
  const variables = (options: typeof OPTIONS): string[] =>
    options.flatMap((option) => [...(option.env ?? []), ...(option.legacyEnv ?? [])]).sort();
  t.same(SECRET_VARIABLES, variables(guessable));
  t.same(SECRET_FLAGS, guessable.flatMap(listFlagNames).sort());
  t.same([...IDENTITY_VARIABLES].sort(), variables(OPTIONS.filter((option) => !guessable.includes(option))));
});

void t.test('every variable that decides something changes it, an empty one does not', async (t) => {
  const seen = new Set([of([])]);
  const names = [...IDENTITY_VARIABLES, ...LOCATION_VARIABLES];
  for (const name of names) {
    seen.add(of([], { [name]: 'x' }));
    if (of([], { [name]: '' }) !== of([])) t.fail(`empty ${name} counts`);
  }
  t.equal(seen.size, names.length + 1);
});

void t.test('the value of a secret does not enter, its presence does', async (t) => {
  for (const name of SECRET_VARIABLES) {
    t.equal(of([], { [name]: 'one' }), of([], { [name]: 'two' }), name);
    t.not(of([], { [name]: 'one' }), of([]), `presence of ${name}`);
  }
  for (const flag of SECRET_FLAGS) {
    t.equal(of([`${flag}=one`, '--user-name=a']), of([`${flag}=two`, '--user-name=a']), flag);
    t.equal(of([flag, 'one', '--user-name=a']), of([flag, 'two', '--user-name=a']), flag);
    t.not(of([flag, 'one', '--user-name=a']), of([flag, 'one', '--user-name=b']), 'what follows counts');
  }
});

void t.test('arguments, folder, user and cluster enter', async (t) => {
  t.not(of(['a', 'b']), of(['a b']));
  t.not(of(['a', 'b']), of(['ab']));
  t.not(computeFingerprint(fakeHost({ cwd: '/a' }), ''), computeFingerprint(fakeHost({ cwd: '/b' }), ''));
  t.not(computeFingerprint(fakeHost({ uid: 1 }), ''), computeFingerprint(fakeHost({ uid: 2 }), ''));
  t.not(computeFingerprint(fakeHost(), '{"server":"a"}'), computeFingerprint(fakeHost(), '{"server":"b"}'));
});
