/**
 * A package for Debian and Ubuntu: the executable, and its second name, by which kubectl finds it as `kubectl keystone-auth`.
 * Made by dpkg-deb, which writes the same bytes for the same files when SOURCE_DATE_EPOCH tells it the time.
 */
import { execFile, execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { executableOf } from './targets.ts';
import type { Target } from './targets.ts';

const NAME = 'client-keystone-auth';

/** kubectl's spelling of `kubectl keystone-auth`. */
const PLUGIN_NAME = 'kubectl-keystone_auth';

const run = promisify(execFile);

/** Seconds since 1970 that files of a package carry: those of the commit, or what the builder says. */
function findTime(): string {
  const set = process.env['SOURCE_DATE_EPOCH'];
  if (set !== undefined && /^\d+$/.test(set)) return set;
  return execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' }).trim();
}

function renderControl(architecture: string, version: string, bytes: number): string {
  return `Package: ${NAME}
Version: ${version}
Architecture: ${architecture}
Maintainer: The authors of client-keystone-auth <nobody@localhost>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= 2.28), libstdc++6 (>= 9)
Section: admin
Priority: optional
Description: log in to Kubernetes with OpenStack Keystone
 A credential plugin for kubectl: it exchanges an openrc, flags or answers for a
 Keystone token, keeps the token while it lives, and hands it to kubectl.
`;
}

/** The file that a target's package is written to. */
export function debianPackageOf(target: Target, version: string): string {
  return `out/${target.name}/${NAME}_${version}_${target.debian ?? ''}.deb`;
}

/** Makes the package of a target for which there is an executable, a text of licences and a name of Debian's. */
export async function makeDebianPackage(target: Target, version: string, licenses: string): Promise<string> {
  const executable = executableOf(target);
  const path = debianPackageOf(target, version);
  const root = await mkdtemp(join(dirname(path), '.deb-'));
  try {
    const documents = join(root, 'usr/share/doc', NAME);
    for (const folder of [join(root, 'DEBIAN'), join(root, 'usr/bin'), documents]) {
      await mkdir(folder, { recursive: true, mode: 0o755 });
    }
    await run('chmod', ['0755', root]);
    await copyFile(executable, join(root, 'usr/bin', NAME));
    await symlink(NAME, join(root, 'usr/bin', PLUGIN_NAME));
    await copyFile(licenses, join(documents, 'THIRD-PARTY-LICENSES.txt'));
    await writeFile(join(documents, 'copyright'), await readFile('LICENSE'));
    const { size } = await stat(executable);
    await writeFile(join(root, 'DEBIAN/control'), renderControl(target.debian ?? '', version, size));
    // Little is won by packing harder: nearly all of it is Node.
    const options = ['--root-owner-group', '-Zxz', '-z1', '--build', root, path];
    await run('dpkg-deb', options, { env: { PATH: process.env['PATH'], SOURCE_DATE_EPOCH: findTime() } });
    return path;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
