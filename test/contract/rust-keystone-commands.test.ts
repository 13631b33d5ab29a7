/** Commands that call Keystone with a token, at each version of Rust Keystone, which lack parts of v3. */
import t from 'tap';
import { checkFailure, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { runBundles } from '../support/run-bundles.ts';
import { makeLoginSettings } from '../support/stand-in-login.ts';
import { serveV4 } from '../support/stand-in-v4.ts';
import { RUST_KEYSTONE } from '../support/stand-in-v4-versions.ts';
import type { RustKeystoneVersion } from '../support/stand-in-v4-versions.ts';

for (const version of Object.keys(RUST_KEYSTONE) as RustKeystoneVersion[]) {
  void t.test(`the commands work with version ${version}, or say what it lacks`, async (t) => {
    const keystone = await startKeystoneForTest(t);
    serveV4(keystone, { version });
    const user = setUp(t, { keystone, runner: runBundles, settings: makeLoginSettings(keystone.url) });

    const whoami = await user.run('whoami', '-o', 'json');
    t.match(whoami, { status: 0, stderr: '' });
    const { groups, ...facts } = JSON.parse(whoami.stdout) as { groups?: unknown; user: unknown; project: unknown };
    t.match(facts, { user: { name: 'alice', domain: { name: 'acme' } }, project: { name: 'web' } });
    t.equal(groups !== null, RUST_KEYSTONE[version].listsOwnGroups, 'the groups, if users may list them');

    t.match(await user.run('projects'), { status: 0, stderr: '', stdout: /^web +[0-9a-f]{32} /m });
    t.match(await user.run('catalog'), { status: 0, stderr: '', stdout: /^SERVICE +TYPE/ });
    checkFailure(t, await user.run('domains'), EXIT_STATUS.protocol, {
      says: ['this Keystone does not list the domains: it has no v3/auth/domains', 'Rust Keystone lacks parts of v3'],
    });
    t.match(await user.run('status'), { status: 0, stderr: '', stdout: /^\* +alice +acme +project web \(acme\) /m });
    t.match(await user.run('logout'), { status: 0 });
    t.equal(keystone.countLogins(), 1, 'one login for all commands');
  });
}
