// Compares what an OpenStack client and the plugin send for one case.

import type { ClientAnswer, ClientProcess } from './ask-openstack.ts';
import { askPlugin } from './ask-plugin.ts';
import type { PluginAnswer } from './ask-plugin.ts';
import { writeCase } from './case.ts';
import type { Case } from './case.ts';
import { KNOWN_DIFFERENCES } from './known-differences.ts';
import type { KnownDifference } from './known-differences.ts';
import { describeClientLogin } from './login.ts';
import type { Login } from './login.ts';

/** A field that differs; undefined if the login does not have it. */
export interface DifferentField {
  readonly openstack: string | undefined;
  readonly plugin: string | undefined;
}

/** How the plugin differs from a client that logs in. */
export interface Difference {
  readonly client: string;
  readonly openstack: Login;
  readonly plugin: PluginAnswer;
  /** By name; empty if the plugin refuses. */
  readonly fields: Readonly<Record<string, DifferentField>>;
}

/** What a case showed. */
export type Outcome =
  /** The client does not log in, so there is nothing to compare. */
  | { readonly kind: 'no login'; readonly answer: ClientAnswer; readonly plugin: PluginAnswer }
  | { readonly kind: 'same'; readonly plugin: PluginAnswer }
  | { readonly kind: 'known'; readonly known: KnownDifference; readonly difference: Difference }
  | { readonly kind: 'unexplained'; readonly difference: Difference };

function listDifferentFields(openstack: Login, plugin: Login): Record<string, DifferentField> {
  const names = [...new Set([...Object.keys(openstack), ...Object.keys(plugin)])];
  return Object.fromEntries(
    names.flatMap((name) => {
      const field = { openstack: openstack[name], plugin: plugin[name] };
      return field.openstack === field.plugin ? [] : [[name, field]];
    }),
  );
}

/** The arguments of `openstack` for a case. `--insecure` and its kind have no `os` and no value. */
export function listClientArguments({ flags }: Pick<Case, 'flags'>): string[] {
  return Object.entries(flags).map(([name, value]) => `--os-${name}=${value}`);
}

/** Gives a case to both programs. */
export async function compare(given: Case, client: ClientProcess, folder: string): Promise<Outcome> {
  const written = writeCase(given, folder);
  const run = { env: written.env, folder: written.folder, arguments: listClientArguments(written) };
  const answer = await client.ask(run);
  const plugin = await askPlugin(written);
  const openstack = describeClientLogin(answer);
  if (openstack === undefined) return { kind: 'no login', answer, plugin };
  const fields = 'login' in plugin ? listDifferentFields(openstack, plugin.login) : {};
  if ('login' in plugin && Object.keys(fields).length === 0) return { kind: 'same', plugin };
  const difference = { client: client.label, openstack, plugin, fields };
  const known = KNOWN_DIFFERENCES.find(({ explains }) => explains(difference, given));
  return known === undefined ? { kind: 'unexplained', difference } : { kind: 'known', known, difference };
}
