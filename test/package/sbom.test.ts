/** The bill of materials and the licenses of each executable are complete. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { readLockedPackage } from '../../scripts/lib/npm-package.ts';
import { getRuntimePackage } from '../../scripts/package/runtimes.ts';
import { ALL_TARGETS } from '../../scripts/package/targets.ts';
import { skipWithout } from '../support/missing-tools.ts';
import { readRuntime } from '../support/packaged-runtime.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

interface Sbom {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly hashes: readonly object[];
  }[];
}

const skip = (name: string): string | false =>
  PACKAGED_EXECUTABLE === undefined
    ? 'npm test -- --packaged'
    : skipWithout(`out/${name}`, () => existsSync(`out/${name}/sbom.cdx.json`));

for (const target of ALL_TARGETS) {
  const { name, keyringPackage } = target;
  await t.test(name, { skip: skip(name) }, async (t) => {
    const runtime = readRuntime(target);
    const runtimePackage = getRuntimePackage(target, runtime);
    const sbom = JSON.parse(readFileSync(`out/${name}/sbom.cdx.json`, 'utf8')) as Sbom;
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    t.equal(sbom.bomFormat, 'CycloneDX');
    t.match(sbom.metadata.component, { name: 'client-keystone-auth', version });
    const names = sbom.components.map((component) => component.name);
    for (const carried of ['got', 'yargs', 'yargs-parser', '@inquirer/core', runtimePackage, keyringPackage])
      t.ok(names.includes(carried), carried);
    for (const tool of ['esbuild', 'tap', 'typescript', 'postject'])
      t.notOk(names.includes(tool), `${tool} is not in the executable`);
    const { version: runtimeVersion } = await readLockedPackage(runtimePackage);
    t.equal(sbom.components.find((component) => component.name === runtimePackage)?.version, runtimeVersion);
    t.ok(sbom.components.every(({ hashes }) => hashes.length > 0));

    const licenses = readFileSync(`out/${name}/THIRD-PARTY-LICENSES.txt`, 'utf8');
    for (const { name: carried, version: of } of sbom.components)
      t.ok(licenses.includes(`\n${carried} ${of} (`), `the license of ${carried}`);
    t.match(licenses, runtime === 'bun' ? 'JavaScriptCore' : 'Node.js is licensed for use as follows');
  });
}

await t.test(
  'the checksums of all files are right',
  { skip: PACKAGED_EXECUTABLE === undefined && 'npm test -- --packaged' },
  async (t) => {
    t.match(execFileSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: 'out', encoding: 'utf8' }), /^linux-\S+: OK$/m);
  },
);
