// What doctor has found, as its tests look at it.

import { join } from 'node:path';
import type { Test } from 'tap';
import type { Desk } from './fixture.ts';
import { settingsOf } from './fixture.ts';
import { runPlugin } from './plugin.ts';
import type { Ran } from './plugin.ts';
import { PASSWORD } from './login.ts';
import { secretsOf } from './settings.ts';
import type { World } from './test-environment.ts';

export interface Finding {
  readonly check: string;
  readonly result: 'good' | 'bad' | 'doubtful' | 'skipped';
  readonly found: string;
  readonly fix: string | null;
}

type Settings = Readonly<Record<string, string>>;

/** The kubeconfig of a desk. */
export const fileOf = (desk: Desk): string => join(desk.home.path, 'kubeconfig');

/** Runs doctor as the user of a desk. */
export async function doctor(desk: Desk, args: readonly string[], env: Settings = {}): Promise<Ran> {
  const PATH = `${join(desk.home.path, 'search')}:${process.env['PATH'] ?? ''}`;
  return runPlugin({
    home: desk.home,
    args: ['doctor', ...args],
    env: { PATH, KUBECONFIG: fileOf(desk), ...env },
  });
}

export async function examine(
  desk: Desk,
  env: Settings = {},
  args: readonly string[] = [],
): Promise<readonly Finding[]> {
  const { stdout } = await doctor(desk, ['-o', 'json', ...args], env);
  return JSON.parse(stdout) as Finding[];
}

/** The names of what is wrong. */
export const failed = (findings: readonly Finding[]): string[] =>
  findings.filter(({ result }) => result === 'bad').map(({ check }) => check);

export function find(findings: readonly Finding[], name: string): Finding {
  return findings.find(({ check }) => check === name) ?? { check: name, result: 'skipped', found: 'absent', fix: null };
}

/** What a user has set in the kubeconfig, and what in the shell. */
export function split(world: World, desk: Desk): { env: Settings; shell: Settings; args: string[] } {
  const { OS_AUTH_URL = '', OS_PASSWORD = '', ...env } = settingsOf(world, desk);
  return { env, shell: { OS_PASSWORD }, args: ['get-token', `--keystone-url=${OS_AUTH_URL}`] };
}

export function checkNoSecret(t: Test, { tenancy }: World, { stdout, stderr }: Ran): void {
  const said = stdout + stderr;
  for (const secret of [...secretsOf(tenancy), PASSWORD]) t.notOk(said.includes(secret), 'no secret');
  t.notMatch(said, /gAAAA[\w-]{20}/, 'no token');
}
