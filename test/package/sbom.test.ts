/** The bill of materials and the licenses of each executable are complete. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fetchPackageFile, readLockedPackage } from '../../scripts/lib/npm-package.ts';
import { BUN_COMMIT, BUN_PARTS, listBunParts } from '../../scripts/package/bun-binary/bun-parts.ts';
import { getRuntimePackage } from '../../scripts/package/runtimes.ts';
import { TARGETS, hostTarget } from '../../scripts/package/targets.ts';
import type { Target } from '../../scripts/package/targets.ts';
import { skipWithout } from '../support/missing-tools.ts';
import { readRuntime } from '../support/packaged-runtime.ts';
import { makeIsolatedCommand, PACKAGED_EXECUTABLE, RUNTIME } from '../support/run-plugin.ts';

interface Sbom {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly hashes?: readonly object[];
    readonly externalReferences?: readonly object[];
  }[];
}

const skip = ({ name, node }: Target): string | false => {
  if (PACKAGED_EXECUTABLE === undefined) return 'npm test -- --packaged';
  if (node === undefined && RUNTIME === 'node') return 'npm run package -- --runtime bun';
  return skipWithout(`out/${name}`, () => existsSync(`out/${name}/sbom.cdx.json`));
};

for (const target of TARGETS) {
  const { name, keyringPackage } = target;
  await t.test(name, { skip: skip(target) }, async (t) => {
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
    t.ok(sbom.components.every(({ hashes, externalReferences }) => (hashes ?? externalReferences ?? []).length > 0));

    const licenses = readFileSync(`out/${name}/THIRD-PARTY-LICENSES.txt`, 'utf8');
    for (const { name: carried, version: of } of sbom.components)
      t.ok(licenses.includes(`\n${carried} ${of} (`), `the license of ${carried}`);
    if (runtime === 'node') {
      t.match(licenses, 'Node.js is licensed for use as follows');
      return;
    }
    for (const part of listBunParts(target.bun.system)) t.ok(names.includes(part.name), part.name);
    t.equal(names.includes('libuv'), target.bun.system === 'windows', 'libuv is in the Bun for Windows only');
    for (const text of ['GNU LESSER GENERAL PUBLIC LICENSE', 'GNU LIBRARY GENERAL PUBLIC LICENSE', 'link Bun again'])
      t.match(licenses, text);
  });
}

await t.test(
  'the checksums of all files are right',
  { skip: PACKAGED_EXECUTABLE === undefined && 'npm test -- --packaged' },
  async (t) => {
    t.match(execFileSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: 'out', encoding: 'utf8' }), /^linux-\S+: OK$/m);
  },
);

await t.test(
  'the parts of Bun are those that the pinned Bun names, and each license is there',
  { skip: RUNTIME === 'bun' ? false : 'npm run package -- --runtime bun' },
  async (t) => {
    const { name, file } = hostTarget().bun;
    const bun = join(t.testdir({}), 'bun');
    writeFileSync(bun, await fetchPackageFile(name, file), { mode: 0o755 });
    const [command, args, options] = makeIsolatedCommand(
      bun,
      ['-e', 'console.log(JSON.stringify({ ...process.versions, revision: Bun.revision }))'],
      {},
    );
    const versions = JSON.parse(execFileSync(command, args, { ...options, encoding: 'utf8' })) as Record<
      string,
      string
    >;
    t.equal(versions['revision'], BUN_COMMIT);
    for (const { version } of BUN_PARTS)
      if (version !== undefined) t.equal(versions[version[0]], version[1], version[0]);
    // What it claims to be like, what has no license of its own, and libuv, which is part of Bun on Windows only.
    const others = ['node', 'bun', 'openssl', 'v8', 'uv', 'napi', 'unicode', 'modules', 'zig', 'usockets'];
    const named = BUN_PARTS.flatMap(({ version }) => version?.[0] ?? []);
    t.strictSame(Object.keys(versions).toSorted(), [...others, ...named, 'revision'].toSorted(), 'no part is missing');
    const texts = new Set(BUN_PARTS.flatMap((part) => part.texts.map((text) => `${text}.txt`)));
    t.strictSame(readdirSync('packaging/bun-licenses').toSorted(), [...texts].toSorted());
  },
);
