import { parseCommandLine } from '../../cli/parse-command-line.ts';
import { readEnvironment } from '../../../shared/options/environment.ts';
import type { Layer } from '../../../shared/options/layer.ts';
import { describeSources } from '../../../shared/options/option.ts';
import { ConfigError, PluginError, UsageError } from '../../../shared/base/errors.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import {
  listStanzaArguments,
  classifyUser,
  makeExecStanza,
  readStanzaVariables,
  withExecStanza,
} from '../../kubeconfig/exec-stanza.ts';
import type { UserKind } from '../../kubeconfig/exec-stanza.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { Secret } from '../../../shared/base/secret.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { readConfiguredLogin, formatStanzaSetting } from './configured-login.ts';
import type { ConfiguredLogin } from './configured-login.ts';
import { describeLeftOut, saveOrPreview } from './save-or-preview.ts';
import { WRITE_OPTIONS } from './options.ts';
import { choosePluginCommand } from './plugin-command.ts';

/** Flags of the Go program's logging, which say nothing about a login. */
const LOGGING =
  /^--?(?:v|vmodule|logtostderr|alsologtostderr|stderrthreshold|log[-_][a-z_-]+|add[-_]dir[-_]header|one[-_]output|skip[-_](?:headers|log[-_]headers))(?:=|$)/;

/** Writes settings as a stanza has them. */
function writeLayer(layer: Layer, withSecrets: boolean): ConfiguredLogin {
  const flags: string[] = [];
  const env: Record<string, string> = {};
  const leftOut: string[] = [];
  for (const option of OPTIONS) {
    const setting = layer.get(option.name);
    if (setting === undefined) continue;
    if (setting.value instanceof Secret && !withSecrets) {
      leftOut.push(describeSources(option));
      continue;
    }
    const written = formatStanzaSetting(option, setting.value);
    if (written === undefined) continue;
    if ('flag' in written) flags.push(written.flag);
    else env[written.name] = written.value;
  }
  return { flags, env, leftOut };
}

const SECRET_VARIABLES = new Set(
  OPTIONS.filter(({ secret }) => secret === true).flatMap(({ env = [], legacyEnv = [] }) => [...env, ...legacyEnv]),
);

/** What an old stanza says: its flags in our spelling, its variables as they are. */
function readStanza(exec: JsonObject, withSecrets: boolean): ConfiguredLogin {
  const { words, flags } = parseCommandLine(
    listStanzaArguments(exec).filter((argument) => !LOGGING.test(argument)),
    OPTIONS,
  );
  if (words.some((word, index) => index > 0 || word !== 'get-token')) {
    throw new UsageError('it has arguments that are no options');
  }
  const byFlag = writeLayer(flags, withSecrets);
  const variables = readStanzaVariables(exec);
  const secrets = Object.keys(variables).filter((name) => SECRET_VARIABLES.has(name) && variables[name] !== '');
  const kept = Object.entries(variables).filter(([name]) => withSecrets || !secrets.includes(name));
  return {
    flags: byFlag.flags,
    // A flag was stronger than its variable.
    env: { ...Object.fromEntries(kept), ...byFlag.env },
    leftOut: [...byFlag.leftOut, ...(withSecrets ? [] : secrets)],
  };
}

/** client-go 1.25, `plugin/pkg/client/auth/openstack`: its names of what it logged in with, by the variables that mean the same. */
const PROVIDER: readonly (readonly [name: string, variable: string])[] = [
  ['identityEndpoint', 'OS_AUTH_URL'],
  ['username', 'OS_USERNAME'],
  ['password', 'OS_PASSWORD'],
  ['name', 'OS_DOMAIN_NAME'],
  ['tenantId', 'OS_PROJECT_ID'],
  ['tenantName', 'OS_PROJECT_NAME'],
];

/** What the provider says; where that is nothing it took the variables of its process, as an empty stanza does. */
function readProvider(provider: JsonObject, withSecrets: boolean): ConfiguredLogin {
  const config = objectAt(provider, 'config');
  const env = Object.fromEntries(PROVIDER.map(([name, variable]) => [variable, textAt(config, name) ?? '']));
  return writeLayer(readEnvironment(env, OPTIONS), withSecrets);
}

/** What each kind of user logs in with. */
const READERS: Readonly<
  Partial<Record<UserKind, (user: JsonObject, call: Invocation) => ConfiguredLogin | Promise<ConfiguredLogin>>>
> = {
  old: (user, { ownConfig }) => readStanza(objectAt(user, 'exec') ?? {}, ownConfig.isOn('with-secrets')),
  'auth-provider': (user, { ownConfig }) =>
    readProvider(objectAt(user, 'auth-provider') ?? {}, ownConfig.isOn('with-secrets')),
  token: (_, call) => readConfiguredLogin(call, call.ownConfig.isOn('with-secrets')),
};

/** The users that are meant. */
function listUsers(kubeconfig: Kubeconfig, { args, ownConfig }: Invocation): string[] {
  if (ownConfig.isOn('all') === args.length > 0) {
    throw new UsageError('which contexts are meant?', { hint: 'name some, or give --all' });
  }
  if (ownConfig.isOn('all')) return kubeconfig.listNames('user');
  const users = args.map((name) => {
    const context = kubeconfig.find('context', name);
    if (context !== undefined) return textAt(context.value, 'user') ?? '';
    throw new UsageError(`the kubeconfig has no context "${name}"`, { hint: 'see "kubectl config get-contexts"' });
  });
  return [...new Set(users)];
}

/** Whether to convert a user; one that was named must be of a kind that can be. */
function isMeant(user: string, kind: UserKind, { ownConfig, args }: Invocation): boolean {
  if (kind === 'token' ? ownConfig.isOn('static-token') : kind !== 'other') return kind !== 'ours';
  if (args.length === 0) return false;
  const hint =
    kind === 'token' ? 'give --static-token to replace it by the login that is configured now' : 'use "kubeconfig add"';
  const what = kind === 'token' ? 'with a static token' : 'in a way that cannot be converted';
  throw new ConfigError(`user "${user}" logs in ${what}`, { hint });
}

async function convertUser(
  kubeconfig: Kubeconfig,
  call: Invocation,
  name: string,
): Promise<ConfiguredLogin | undefined> {
  const user = kubeconfig.find('user', name)?.value;
  if (user === undefined) throw new ConfigError(`the kubeconfig has no user "${name}"`, { hint: 'add one' });
  const kind = classifyUser(user);
  const read = READERS[kind];
  if (!isMeant(name, kind, call) || read === undefined) return undefined;
  try {
    const login = await read(user, call);
    const mode = textAt(objectAt(user, 'exec'), 'interactiveMode');
    const { command } = choosePluginCommand(call.host, call.ownConfig.text('command'));
    const stanza = makeExecStanza({ ...login, command });
    kubeconfig.set(
      'user',
      name,
      withExecStanza(user, mode === undefined ? stanza : { ...stanza, interactiveMode: mode }),
    );
    return login;
  } catch (error) {
    if (!(error instanceof PluginError) || kind === 'token') throw error;
    throw new ConfigError(`user "${name}" cannot be converted: ${error.message}`, { hint: 'correct it by hand' });
  }
}

async function convert(call: Invocation): Promise<CommandResult> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  const { ownConfig, host, reporter } = call;
  if (ownConfig.isOn('static-token') && ownConfig.isOn('all')) {
    throw new UsageError('--static-token is for contexts that are named', { hint: 'name them instead of --all' });
  }
  const kubeconfig = openKubeconfig(host, ownConfig.text('kubeconfig'));
  const converted: string[] = [];
  const leftOut = new Set<string>();
  for (const name of listUsers(kubeconfig, call)) {
    const login = await convertUser(kubeconfig, call, name);
    if (login === undefined) continue;
    converted.push(name);
    for (const way of login.leftOut) leftOut.add(way);
  }
  const { warning } = choosePluginCommand(host, ownConfig.text('command'));
  if (warning !== undefined && converted.length > 0) reporter.warn(warning);
  const said = converted.length === 0 ? 'No user had to be converted.' : `Converted: ${converted.join(', ')}.`;
  return saveOrPreview(call, kubeconfig, {
    messages: [said, ...describeLeftOut([...leftOut])],
    data: { users: converted, leftOut: [...leftOut] },
    hasSecrets: ownConfig.isOn('with-secrets'),
  });
}

/** Makes stanzas of ours of what kubectl no longer takes, or the Go program had. */
export const kubeconfigConvertCommand: Command = {
  words: ['kubeconfig', 'convert'],
  summary: 'turn old ways to log in to OpenStack into stanzas of this program',
  details: [
    'That are: auth-provider openstack, which kubectl no longer has; stanzas of the Go program, or of v1alpha1 and v1beta1; and, with --static-token, the token of a user, which is replaced by what is configured now. Secrets are left out unless --with-secrets is given; the copy of the file as it was still has them.',
  ],
  arguments: [{ name: 'CONTEXT', help: 'contexts whose users are converted', variadic: true }],
  options: [
    { name: 'all', group: 'Command', kind: 'switch', file: 'nowhere', help: 'convert every user that can be' },
    {
      name: 'static-token',
      group: 'Command',
      kind: 'switch',
      file: 'nowhere',
      help: 'replace static tokens of the contexts that are named, too',
    },
    ...WRITE_OPTIONS,
  ],
  getTokenOptions: 'login',
  examples: [
    { line: 'kubeconfig convert --all --dry-run', summary: 'show what would be converted' },
    { line: 'kubeconfig convert --all', summary: 'convert it' },
  ],
  run: convert,
};
