/** Which inputs of a run its fingerprint covers, argument by argument and variable by variable. */
import t from 'tap';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import { SECRET_FLAGS, SECRET_VARIABLES } from '../../src/plugin/fast-path/fingerprint-inputs.ts';
import { fakeHost } from '../support/fake-host.ts';

const fingerprint = (argv: readonly string[], env: Record<string, string> = {}): string | undefined =>
  computeFingerprint(fakeHost({ argv, env }), '');

void t.test('an empty variable of a secret counts as unset', async (t) => {
  for (const name of SECRET_VARIABLES) t.equal(fingerprint([], { [name]: '' }), fingerprint([]), name);
});

void t.test('only the argument after a secret flag is left out', async (t) => {
  t.not(fingerprint(['a', 'b']), fingerprint(['a', 'c']));
  for (const flag of SECRET_FLAGS) {
    t.not(fingerprint([`${flag}=one`, 'b']), fingerprint([`${flag}=one`, 'c']), `the argument after ${flag}=VALUE`);
    t.not(fingerprint([flag, 'one', 'b']), fingerprint([flag, 'one', 'c']), `the second argument after ${flag}`);
    t.not(fingerprint([flag, 'one']), fingerprint([`${flag}=one`, 'one']));
  }
});

void t.test('the variables that decide where files and tickets are change the fingerprint', async (t) => {
  const home = ['HOME', 'USERPROFILE', 'LOCALAPPDATA', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME'];
  for (const name of [...home, 'KRB5CCNAME', 'KRB5_CLIENT_KTNAME', 'KRB5_CONFIG']) {
    t.not(fingerprint([], { [name]: '/a' }), fingerprint([]), name);
    t.not(fingerprint([], { [name]: '/a' }), fingerprint([], { [name]: '/b' }), name);
  }
});
