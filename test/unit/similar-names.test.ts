/** Misspelled names of clouds, regions and contexts, and how similar names are found. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findSimilarName, isSimilarName } from '../../src/shared/base/similar-name.ts';
import { runInProcess } from '../support/run-in-process.ts';

void t.test('a name is similar if a typo or two make it of another', async (t) => {
  const rows: readonly [name: string, candidates: readonly string[], found: string | undefined][] = [
    ['--projct-name', ['--project-id', '--project-name'], '--project-name'],
    ['hlep', ['help'], 'help'],
    ['PROD', ['prod'], 'prod'],
    ['prd', ['prod', 'dev'], 'prod'],
    ['stagng-eu', ['staging-us', 'staging-eu'], 'staging-eu'],
    ['dev', ['prod'], undefined],
    ['abc', ['xyz'], undefined],
    ['B', ['A', 'C'], undefined],
    ['R3', ['R1', 'R2'], undefined],
    ['prod-eu', ['PROD_EU'], 'PROD_EU'],
    ['продакшн', ['продакшен', 'тест'], 'продакшен'],
    ['测试', ['生产'], undefined],
    ['облако', ['регион'], undefined],
    ['--', ['__', 'prod'], undefined],
    ['', ['', 'a'], undefined],
    ['usеrs', ['users', 'match'], 'users'],
    ['-'.repeat(100_000), ['prod'], undefined],
    ['x'.repeat(100_000), ['x'.repeat(100_000)], undefined],
  ];
  for (const [name, candidates, found] of rows) {
    t.equal(findSimilarName(name, candidates), found, name.slice(0, 20));
    t.equal(
      candidates.some((candidate) => isSimilarName(name, candidate)),
      found !== undefined,
    );
  }
});

void t.test('a misspelled cloud, region or context is answered with the one that was probably meant', async (t) => {
  const home = t.testdir({});
  const folder = join(home, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const clouds = {
    production: { auth: { auth_url: 'https://a.example.com/v3' }, regions: ['north', 'south'] },
    staging: { auth: { auth_url: 'https://b.example.com/v3' }, auth_type: 'totp' },
  };
  writeFileSync(join(folder, 'clouds.yaml'), JSON.stringify({ clouds }), { mode: 0o600 });
  const kubeconfig = join(home, 'kubeconfig');
  const contexts = [{ name: 'production', context: { cluster: 'c', user: 'u' } }];
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', contexts, clusters: [], users: [] }));
  const rows: readonly [argv: readonly string[], stderr: RegExp][] = [
    [['explain', '--os-cloud=prodution'], /"prodution", which is not in .*; did you mean "production"\?\n$/],
    [['explain', '--os-cloud=other'], /; set it to production, staging\n$/],
    [['explain', '--os-cloud=production', '--region-name=nroth'], /does not list; did you mean "north"\?\n$/],
    [['explain', '--os-cloud=staging'], /asks for "totp", .*; did you mean "v3totp"\?\n$/],
  ];
  const hostParts = { home: () => home, cwd: home, uid: process.getuid?.() };
  for (const [argv, stderr] of rows) {
    t.match(await runInProcess({ ...hostParts, argv }), { status: 3, stdout: '', stderr }, argv.join(' '));
  }
  const doctor = await runInProcess({
    ...hostParts,
    argv: ['doctor', `--kubeconfig=${kubeconfig}`, '--context=produktion'],
  });
  t.match(doctor.stdout, /there is no context "produktion" in [^]*did you mean "production"\?/);
});
