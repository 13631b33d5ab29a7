import { parseCommandLine } from '../../../shared/options/parse-command-line.ts';
import { readEnvironment } from '../../../shared/options/environment.ts';
import { resolveConfig } from '../../config/resolve-config.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { hideArguments, hideUserInfo, hideVariables } from '../../kubeconfig/hide-secrets.ts';
import { listStanzaArguments, readStanzaVariables } from '../../kubeconfig/exec-stanza.ts';
import { classifyUser } from '../../kubeconfig/user-kind.ts';
import type { UserKind } from '../../kubeconfig/user-kind.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command, OutputData } from '../command.ts';
import { listSettings } from '../list-settings.ts';
import type { ShownSetting } from '../list-settings.ts';
import { openCommandKubeconfig } from './open-kubeconfig.ts';
import { HARMLESS_VARIABLES } from './stanza-login.ts';
import { renderPairs } from '../table.ts';

/** A context that logs in with this plugin, or that `convert` can convert. */
interface ContextDetails {
  readonly context: string;
  readonly current: boolean;
  readonly cluster: string | null;
  readonly server: string | null;
  readonly namespace: string | null;
  readonly user: string;
  readonly file: string;
  readonly kind: UserKind;
  readonly apiVersion: string | null;
  readonly command: string | null;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly settings: readonly ShownSetting[];
  readonly problem: string | null;
}

const KIND_DESCRIPTIONS: Readonly<Partial<Record<UserKind, string>>> = {
  ours: 'up to date, as "kubeconfig add" writes it',
  old: 'outdated; "kubeconfig convert" replaces it',
  'token-command': 'a command that prints a Keystone token; "kubeconfig convert" replaces it',
  'auth-provider': 'auth-provider openstack, which kubectl no longer supports; "kubeconfig convert" replaces it',
};

/** Reads the settings of a stanza, with secrets redacted; or describes why they cannot be read. */
function readSettings(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { settings: ShownSetting[]; problem: string | null } {
  try {
    const { flags } = parseCommandLine(args, OPTIONS);
    const config = resolveConfig([flags, readEnvironment(env, OPTIONS)], OPTIONS);
    return { settings: listSettings(config, OPTIONS), problem: null };
  } catch (error) {
    // The code only: the message can quote a value.
    const code = error instanceof PluginError ? error.code : 'unknown';
    return { settings: [], problem: `its arguments or variables are invalid (${code})` };
  }
}

function describe(kubeconfig: Kubeconfig, context: string): ContextDetails[] {
  const value = kubeconfig.find('context', context)?.value;
  const user = textAt(value, 'user') ?? '';
  const entry = kubeconfig.find('user', user);
  if (entry === undefined) return [];
  const kind = classifyUser(entry.value);
  if (KIND_DESCRIPTIONS[kind] === undefined) return [];
  const exec = objectAt(entry.value, 'exec') ?? {};
  const cluster = textAt(value, 'cluster');
  const server = textAt(kubeconfig.find('cluster', cluster ?? '')?.value, 'server');
  // The arguments of another program have another meaning.
  const args = kind === 'token-command' ? [] : listStanzaArguments(exec);
  const env = readStanzaVariables(exec);
  return [
    {
      context,
      current: kubeconfig.currentContext === context,
      cluster: cluster ?? null,
      server: server === undefined ? null : hideUserInfo(server),
      namespace: textAt(value, 'namespace') ?? null,
      user,
      file: entry.path,
      kind,
      apiVersion: textAt(exec, 'apiVersion') ?? null,
      command: textAt(exec, 'command') ?? null,
      args: hideArguments(args),
      env: hideVariables(env, HARMLESS_VARIABLES),
      ...readSettings(args, env),
    },
  ];
}

function render(details: ContextDetails): string[] {
  const { context, current, cluster, server, namespace, user, file, kind, command, env, settings, problem } = details;
  const origins = new Set(settings.map(({ origin }) => origin));
  const otherVariables = Object.entries(env).filter(([name]) => !origins.has(name));
  return renderPairs([
    ['Context', `${context}${current ? ' (current)' : ''}`],
    ['Cluster', cluster === null ? undefined : `${cluster}${server === null ? '' : ` at ${server}`}`],
    ['Namespace', namespace ?? undefined],
    ['User', `${user}, in ${file}`],
    ['Stanza', KIND_DESCRIPTIONS[kind]],
    ['Command', command ?? undefined],
    ['Problem', problem ?? undefined],
    ...settings.map(({ option, value, origin }) => [`  ${option}`, `${value}  (${origin})`] as const),
    ...otherVariables.map(([name, value]) => [`  ${name}`, value] as const),
  ]);
}

function show(call: Invocation): Promise<CommandResult> {
  const kubeconfig = openCommandKubeconfig(call);
  const selected = call.ownConfig.text('context');
  const names = kubeconfig.listNames('context').filter((name) => selected === undefined || name === selected);
  const contexts = names.flatMap((name) => describe(kubeconfig, name));
  const data: OutputData = contexts.map((details) => ({
    ...details,
    settings: details.settings.map((setting) => ({ ...setting })),
  }));
  const what = selected === undefined ? 'No context logs in' : `There is no context ${selected} that logs in`;
  const noContexts = `${what} with client-keystone-auth. Searched: ${kubeconfig.paths.join(', ')}`;
  const blocks = contexts.flatMap((details, index) => [...(index === 0 ? [] : ['']), ...render(details)]);
  return Promise.resolve({ lines: contexts.length === 0 ? [noContexts] : blocks, data });
}

/** Shows which contexts log in with this plugin, and with which settings. */
export const kubeconfigShowCommand: Command = {
  words: ['kubeconfig', 'show'],
  task: 'Set up',
  summary: 'show the contexts that log in with this program and their settings, with secrets redacted',
  options: [OUTPUT_OPTION],
  contextUse: 'subject',
  getTokenOptions: 'run',
  examples: [
    { line: 'kubeconfig show', summary: 'show contexts, clusters, users and settings' },
    { line: 'kubeconfig show -o json', summary: 'the same for programs' },
  ],
  run: show,
};
