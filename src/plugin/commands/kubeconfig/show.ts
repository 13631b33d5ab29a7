import { parseCommandLine } from '../../cli/parse-command-line.ts';
import { readEnvironment } from '../../../shared/options/environment.ts';
import { resolveConfig } from '../../../shared/options/resolve-config.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { hideArguments, hideUserInfo, hideVariables } from '../../kubeconfig/hide-secrets.ts';
import { listStanzaArguments, classifyUser, readStanzaVariables } from '../../kubeconfig/exec-stanza.ts';
import type { UserKind } from '../../kubeconfig/exec-stanza.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command, OutputData } from '../command.ts';
import { listSettings } from '../list-settings.ts';
import type { ShownSetting } from '../list-settings.ts';
import { listHarmlessVariables } from './configured-login.ts';
import { KUBECONFIG_OPTION } from './options.ts';
import { renderPairs } from '../table.ts';

/** A context whose user has to do with this program. */
interface ShownContext {
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

const ABOUT: Readonly<Partial<Record<UserKind, string>>> = {
  ours: 'as "kubeconfig add" writes it',
  old: 'an old one: "kubeconfig convert" renews it',
  'auth-provider': 'auth-provider openstack, which kubectl no longer has: "kubeconfig convert" replaces it',
};

/** What a stanza's arguments and variables set, secrets redacted; or why that cannot be told. */
function readSettings(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { settings: ShownSetting[]; problem: string | null } {
  try {
    const { flags } = parseCommandLine(args, OPTIONS);
    const config = resolveConfig([flags, readEnvironment(env, OPTIONS)], OPTIONS);
    return { settings: listSettings(config, OPTIONS), problem: null };
  } catch (error) {
    // Never its words alone: they may quote a value.
    const code = error instanceof PluginError ? error.code : 'unknown';
    return { settings: [], problem: `its arguments or variables are wrong (${code})` };
  }
}

function describe(kubeconfig: Kubeconfig, context: string): ShownContext[] {
  const value = kubeconfig.find('context', context)?.value;
  const user = textAt(value, 'user') ?? '';
  const found = kubeconfig.find('user', user);
  if (found === undefined) return [];
  const kind = classifyUser(found.value);
  if (ABOUT[kind] === undefined) return [];
  const exec = objectAt(found.value, 'exec') ?? {};
  const cluster = textAt(value, 'cluster');
  const server = textAt(kubeconfig.find('cluster', cluster ?? '')?.value, 'server');
  const [args, env] = [listStanzaArguments(exec), readStanzaVariables(exec)];
  return [
    {
      context,
      current: kubeconfig.currentContext === context,
      cluster: cluster ?? null,
      server: server === undefined ? null : hideUserInfo(server),
      namespace: textAt(value, 'namespace') ?? null,
      user,
      file: found.path,
      kind,
      apiVersion: textAt(exec, 'apiVersion') ?? null,
      command: textAt(exec, 'command') ?? null,
      args: hideArguments(args),
      env: hideVariables(env, listHarmlessVariables()),
      ...readSettings(args, env),
    },
  ];
}

function render(shown: ShownContext): string {
  const { context, current, cluster, server, namespace, user, file, kind, command, env, settings, problem } = shown;
  const known = new Set(settings.map(({ origin }) => origin));
  const others = Object.entries(env).filter(([name]) => !known.has(name));
  return renderPairs([
    ['Context', `${context}${current ? ' (the current one)' : ''}`],
    ['Cluster', cluster === null ? undefined : `${cluster}${server === null ? '' : ` at ${server}`}`],
    ['Namespace', namespace ?? undefined],
    ['User', `${user}, in ${file}`],
    ['Stanza', ABOUT[kind]],
    ['Command', command ?? undefined],
    ['Problem', problem ?? undefined],
    ...settings.map(({ option, value, origin }) => [`  ${option}`, `${value}  (${origin})`] as const),
    ...others.map(([name, value]) => [`  ${name}`, value] as const),
  ]);
}

async function show(call: Invocation): Promise<CommandResult> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  const kubeconfig = openKubeconfig(call.host, call.ownConfig.text('kubeconfig'));
  const contexts = kubeconfig.listNames('context').flatMap((name) => describe(kubeconfig, name));
  const data: OutputData = contexts.map((shown) => ({ ...shown, settings: shown.settings.map((one) => ({ ...one })) }));
  const nothing = `No context logs in with client-keystone-auth. Looked in: ${kubeconfig.paths.join(', ')}`;
  return { text: contexts.length === 0 ? nothing : contexts.map(render).join('\n\n'), data };
}

/** Says which contexts log in with this program, and how. */
export const kubeconfigShowCommand: Command = {
  words: ['kubeconfig', 'show'],
  summary: 'show the contexts that log in with this program and what is set for them, without secrets',
  options: [KUBECONFIG_OPTION, OUTPUT_OPTION],
  getTokenOptions: 'run',
  examples: [
    { line: 'kubeconfig show', summary: 'contexts, clusters, users and settings' },
    { line: 'kubeconfig show -o json', summary: 'the same for programs' },
  ],
  run: show,
};
