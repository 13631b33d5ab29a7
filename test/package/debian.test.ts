/** dpkg installs the package into a root of its own. The installed program runs directly and from a real kubectl. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { requireKubectl } from '../support/missing-tools.ts';
import { PROJECT } from '../../scripts/lib/project.ts';
import { debianPackagePath } from '../../scripts/package/package-paths.ts';
import { hostTarget } from '../../scripts/package/targets.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const skip =
  PACKAGED_EXECUTABLE === undefined ? 'npm test -- --packaged' : skipWithout('dpkg', () => canRun('dpkg', '--version'));

await t.test(
  'the Debian package installs the program, its manual page and its completions, and is removed again',
  { skip },
  async (t) => {
    const root = t.testdir({});
    const state = join(root, 'var/lib/dpkg');
    mkdirSync(join(state, 'info'), { recursive: true });
    mkdirSync(join(state, 'updates'));
    writeFileSync(join(state, 'status'), '');
    // The dependencies are in the real root, not in this one.
    const options = [`--root=${root}`, '--force-not-root', '--force-depends', '--force-script-chrootless'];
    execFileSync('dpkg', [...options, '--install', debianPackagePath(hostTarget(), version)], { stdio: 'ignore' });

    const bin = join(root, 'usr/bin');
    const program = join(bin, 'client-keystone-auth');
    t.equal(statSync(program).mode & 0o7777, 0o755);
    t.equal(execFileSync(program, ['--version'], { encoding: 'utf8' }), `${version}\n`);
    t.equal(readlinkSync(join(bin, 'kubectl-keystone_auth')), 'client-keystone-auth');
    for (const file of [
      'doc/client-keystone-auth/copyright',
      'man/man1/client-keystone-auth.1.gz',
      'bash-completion/completions/kubectl-keystone_auth',
      'zsh/vendor-completions/_client-keystone-auth',
      'fish/vendor_completions.d/kubectl-keystone_auth.fish',
    ])
      t.ok(existsSync(join(root, 'usr/share', file)), file);
    const status = execFileSync('dpkg-query', [`--admindir=${state}`, '--show', '--showformat=${Status} ${Version}'], {
      encoding: 'utf8',
    });
    t.equal(status, `install ok installed ${version}`);
    const about = execFileSync(
      'dpkg-query',
      [`--admindir=${state}`, '--show', '--showformat=${Maintainer}|${Homepage}'],
      {
        encoding: 'utf8',
      },
    );
    t.equal(about, `${PROJECT.authors} <${PROJECT.email}>|${PROJECT.homepage}`);

    const kubectl = await requireKubectl('new');
    if ('missing' in kubectl) return;
    const env = { PATH: `${bin}:/usr/bin:/bin`, HOME: root };
    const help = execFileSync(kubectl.path, ['keystone-auth', '--help'], { encoding: 'utf8', env });
    t.match(help, 'Logs in to Kubernetes with OpenStack Keystone');
  },
);
