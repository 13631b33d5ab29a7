// Every auth method that keystoneauth registers is one of the plugin, or is refused with the reason and an alternative. The
// list comes from Debian's package of keystoneauth; what newer versions and other packages register is listed here.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { describeSystem, findOrUnpack } from '../../scripts/lib/debian-packages.ts';
import { METHOD_BY_NAME } from '../../src/plugin/auth-methods/registry.ts';
import { requireSupportedMethod } from '../../src/plugin/auth-methods/unsupported-methods.ts';
import { skipBecause } from '../support/missing-tools.ts';

const PACKAGE = 'python3-keystoneauth1';

/** What keystoneauth 5.18 registers in addition. */
const NEWER = ['v3oauth2clientcredential', 'v3oauth2mtlsclientcredential', 'v3oidcdeviceauthz', 'v3websso'];

/** What clients of other services register in the same group. */
const OF_OTHER_PACKAGES = ['noauth', 'token_endpoint', 'gnocchi-basic', 'gnocchi-noauth', 'aodh-noauth'];

/** Reads the file in which keystoneauth registers its auth methods (Python Packaging, "Entry points specification"). */
async function readEntryPoints(root = '/'): Promise<string | undefined> {
  const folder = join(root, 'usr/lib/python3/dist-packages');
  const names = await readdir(folder).catch(() => []);
  const own = names.find((name) => /^keystoneauth1-.*\.(?:egg|dist)-info$/.test(name));
  return own === undefined ? undefined : readFile(join(folder, own, 'entry_points.txt'), 'utf8');
}

function listMethods(text: string): string[] {
  const [, section = ''] = /^\[keystoneauth1\.plugin\]\n([^[]*)/m.exec(text) ?? [];
  return [...section.matchAll(/^([\w-]+) *= *\S/gm)].map(([, name = '']) => name);
}

const unpacked = await findOrUnpack(
  {
    what: 'keystoneauth',
    packages: [PACKAGE],
    folder: `keystoneauth-${await describeSystem()}`,
    canRun: async (root) => (await readEntryPoints(root)) !== undefined,
  },
  () => undefined,
);
const skip = 'missing' in unpacked ? skipBecause(unpacked.missing) : false;

void t.test('every entry point of keystoneauth has an answer', { skip }, async (t) => {
  const names = listMethods((await readEntryPoints('missing' in unpacked ? undefined : unpacked.root)) ?? '');
  t.ok(names.length >= 20, names.join(', '));
  for (const name of ['v3fedkerb', 'v3samlpassword']) t.ok(names.includes(name) && METHOD_BY_NAME.has(name), name);
  for (const name of [...names, ...NEWER, ...OF_OTHER_PACKAGES]) {
    if (METHOD_BY_NAME.has(name)) continue;
    t.throws(
      () => requireSupportedMethod(name, 'OS_AUTH_TYPE'),
      { message: `OS_AUTH_TYPE asks for "${name}", which the plugin cannot use: `, hint: /^(?:use|unset) / },
      name,
    );
  }
});
