// What doctor has found, as its tests look at it.

import { join } from 'node:path';
import type { Test } from 'tap';
import type { KubectlFixture } from './kubectl-fixture.ts';
import { makeAliceSettings } from './kubectl-fixture.ts';
import { runPlugin } from './run-plugin.ts';
import type { RunResult } from './run-plugin.ts';
import { PASSWORD } from './check-run.ts';
import { listSecrets } from './login-settings.ts';
import type { TestEnvironment } from './test-environment.ts';

export interface DoctorCheck {
  readonly check: string;
  readonly result: 'good' | 'bad' | 'doubtful' | 'skipped';
  readonly found: string;
  readonly fix: string | null;
}

type EnvVars = Readonly<Record<string, string>>;

/** The kubeconfig of a desk. */
export const kubeconfigPath = (desk: KubectlFixture): string => join(desk.home.path, 'kubeconfig');

/** Runs doctor as the user of a desk. */
export async function runDoctor(desk: KubectlFixture, args: readonly string[], env: EnvVars = {}): Promise<RunResult> {
  const PATH = `${join(desk.home.path, 'search')}:${process.env['PATH'] ?? ''}`;
  return runPlugin({
    home: desk.home,
    args: ['doctor', ...args],
    env: { PATH, KUBECONFIG: kubeconfigPath(desk), ...env },
  });
}

export async function runDoctorChecks(
  desk: KubectlFixture,
  env: EnvVars = {},
  args: readonly string[] = [],
): Promise<readonly DoctorCheck[]> {
  const { stdout } = await runDoctor(desk, ['-o', 'json', ...args], env);
  return JSON.parse(stdout) as DoctorCheck[];
}

/** The names of what is wrong. */
export const listFailedChecks = (findings: readonly DoctorCheck[]): string[] =>
  findings.filter(({ result }) => result === 'bad').map(({ check }) => check);

export function findCheck(findings: readonly DoctorCheck[], name: string): DoctorCheck {
  return findings.find(({ check }) => check === name) ?? { check: name, result: 'skipped', found: 'absent', fix: null };
}

/** What a user has set in the kubeconfig, and what in the shell. */
export function splitSettings(
  world: TestEnvironment,
  desk: KubectlFixture,
): { env: EnvVars; shell: EnvVars; args: string[] } {
  const { OS_AUTH_URL = '', OS_PASSWORD = '', ...env } = makeAliceSettings(world, desk);
  return { env, shell: { OS_PASSWORD }, args: ['get-token', `--keystone-url=${OS_AUTH_URL}`] };
}

export function checkNoSecretShown(t: Test, { tenancy }: TestEnvironment, { stdout, stderr }: RunResult): void {
  const said = stdout + stderr;
  for (const secret of [...listSecrets(tenancy), PASSWORD]) t.notOk(said.includes(secret), 'no secret');
  t.notMatch(said, /gAAAA[\w-]{20}/, 'no token');
}
