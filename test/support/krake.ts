/** Real API servers of Krake, which a test starts itself, with the Keystone and the Keycloak that they ask about tokens. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'tap';
import type { Test } from 'tap';
import { findKrake, startEtcd, startKrake } from '../../scripts/identity-providers/krake.ts';
import type { Krake, KrakeOptions } from '../../scripts/identity-providers/krake.ts';
import type { CertificateFiles, Pki } from '../../scripts/lib/pki.ts';
import { createRealm } from './keycloak.ts';
import type { Realm } from './keycloak.ts';
import { skipBecause } from './missing-tools.ts';
import type { KRAKE_RESULTS } from './provider-results.ts';
import { findResource } from './resources.ts';
import { findTestEnvironment } from './test-environment.ts';
import type { TestEnvironment } from './test-environment.ts';
import { makeTestFolder } from './webhook-settings.ts';

export interface KrakeFixture {
  readonly environment: TestEnvironment;
  readonly realm: Realm;
  /** Starts an API server, which is stopped after the test. */
  readonly start: (options: Pick<KrakeOptions, 'strategy' | 'hasTls'>) => Promise<Krake>;
}

const programs = await findKrake((line) => {
  console.error(line);
});
const resources = [findTestEnvironment(), findResource('keycloak')] as const;

/** Declares a test with a realm of Keycloak of its own. */
export function testWithKrake(
  name: keyof typeof KRAKE_RESULTS,
  body: (t: Test, fixture: KrakeFixture) => Promise<void>,
): void {
  const [environment, keycloak] = resources;
  if ('missing' in programs) void test(name, { skip: skipBecause(programs.missing) }, () => undefined);
  else if ('missing' in environment) void test(name, { skip: 'there is no Keystone' }, () => undefined);
  else if ('missing' in keycloak) void test(name, { skip: 'there is no Keycloak' }, () => undefined);
  else
    void test(name, async (t) => {
      const realm = await createRealm(keycloak);
      t.teardown(() => realm.remove());
      const folder = makeTestFolder(t);
      const etcd = await startEtcd(programs, join(folder, 'etcd'));
      t.teardown(() => etcd.stop());
      let count = 0;
      const start: KrakeFixture['start'] = async (options) => {
        const dir = join(folder, `krake-${(count += 1)}`);
        const krake = await startKrake(programs, { ...options, dir, etcdPort: etcd.port, pki: environment.pki });
        t.teardown(() => krake.stop());
        return krake;
      };
      await body(t, { environment, realm, start });
    });
}

export interface KrakeAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Asks Krake with curl who the user is.
 *
 * @param header a header line, such as the plugin prints
 */
export async function askWhoIAm(
  { url }: Krake,
  { ca }: Pki,
  { header = '', certificate }: { readonly header?: string; readonly certificate?: CertificateFiles },
): Promise<KrakeAnswer> {
  const args = ['--silent', '--show-error', '--noproxy', '*', '--cacert', ca, '--write-out', '\n%{http_code}'];
  const own = certificate === undefined ? [] : ['--cert', certificate.cert, '--key', certificate.key];
  const running = promisify(execFile)('curl', [...args, ...own, '--header', '@-', `${url}/me`]);
  running.child.stdin?.end(header);
  const [body = '', status = ''] = (await running).stdout.split('\n');
  return { status: Number(status), body: JSON.parse(body) as KrakeAnswer['body'] };
}
