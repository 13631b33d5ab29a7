// Runs doctor and reads its results.

import { join } from 'node:path';
import type { Test } from 'tap';
import type { KubectlFixture } from './kubectl-fixture.ts';
import { makeAliceSettings } from './kubectl-fixture.ts';
import { runPlugin } from './run-plugin.ts';
import type { RunResult } from './run-plugin.ts';
import type { EnvVars } from './home.ts';
import { PASSWORD } from './check-run.ts';
import { listSecrets } from './login-settings.ts';
import type { TestEnvironment } from './test-environment.ts';
import type { LoginSettings } from './login-settings.ts';

export interface DoctorCheck {
  readonly check: string;
  readonly result: 'good' | 'bad' | 'doubtful' | 'skipped';
  readonly found: string;
  readonly fix: string | null;
}

/** The path of the kubeconfig of a fixture. */
export const kubeconfigPath = (fixture: KubectlFixture): string => join(fixture.home.path, 'kubeconfig');

/** Runs doctor as the user of a fixture. */
export async function runDoctor(
  fixture: KubectlFixture,
  args: readonly string[],
  env: EnvVars = {},
): Promise<RunResult> {
  const PATH = `${join(fixture.home.path, 'search')}:${process.env['PATH'] ?? ''}`;
  return runPlugin({
    home: fixture.home,
    args: ['doctor', ...args],
    env: { PATH, KUBECONFIG: kubeconfigPath(fixture), ...env },
  });
}

export async function runDoctorChecks(
  fixture: KubectlFixture,
  env: EnvVars = {},
  args: readonly string[] = [],
): Promise<readonly DoctorCheck[]> {
  const { stdout } = await runDoctor(fixture, ['-o', 'json', ...args], env);
  return JSON.parse(stdout) as DoctorCheck[];
}

/** The names of the checks that fail. */
export const listFailedChecks = (findings: readonly DoctorCheck[]): string[] =>
  findings.filter(({ result }) => result === 'bad').map(({ check }) => check);

export function findCheck(findings: readonly DoctorCheck[], name: string): DoctorCheck {
  return findings.find(({ check }) => check === name) ?? { check: name, result: 'skipped', found: 'absent', fix: null };
}

/** Splits the settings of a user into those in the kubeconfig and those in the shell. */
export function splitSettings(
  environment: TestEnvironment,
  fixture: KubectlFixture,
): { env: LoginSettings; shell: LoginSettings; args: string[] } {
  const { OS_AUTH_URL = '', OS_PASSWORD = '', ...env } = makeAliceSettings(environment, fixture);
  return { env, shell: { OS_PASSWORD }, args: ['get-token', `--keystone-url=${OS_AUTH_URL}`] };
}

export function checkNoSecretShown(t: Test, { tenancy }: TestEnvironment, { stdout, stderr }: RunResult): void {
  const output = stdout + stderr;
  for (const secret of [...listSecrets(tenancy), PASSWORD]) t.notOk(output.includes(secret), 'no secret');
  t.notMatch(output, /gAAAA[\w-]{20}/, 'no token');
}
