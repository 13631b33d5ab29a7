import { parseCommandLine } from '../../../shared/options/parse-command-line.ts';
import { readEnvironment } from '../../../shared/options/environment.ts';
import type { Layer } from '../../config/option.ts';
import { ConfigError, PluginError, UsageError } from '../../../shared/base/errors.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import {
  listStanzaArguments,
  makeExecStanza,
  readStanzaVariables,
  withExecStanza,
} from '../../kubeconfig/exec-stanza.ts';
import { readTokenCommand } from '../../kubeconfig/token-command.ts';
import { classifyUser } from '../../kubeconfig/user-kind.ts';
import type { UserKind } from '../../kubeconfig/user-kind.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { makeCommandOption, OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { openCommandKubeconfig } from './open-kubeconfig.ts';
import { readConfiguredLogin } from './configured-login.ts';
import type { SecretsChoice } from './configured-login.ts';
import { CONVERTIBLE_KINDS, describeAlternative, describeConversion } from './conversion.ts';
import { describeLeftOut, saveOrPreview } from './save-or-preview.ts';
import { WRITE_OPTIONS } from './options.ts';
import { choosePluginCommand } from './plugin-command.ts';
import { chooseStanzaVersion, readStanzaVersion } from './stanza-version.ts';
import { makeStanzaLogin, SECRET_VARIABLES } from './stanza-login.ts';
import type { StanzaLogin } from './stanza-login.ts';

/** Logging flags of the Go program, which do not concern the login. */
const LOGGING_FLAGS = [
  /^--?(?:v|vmodule|logtostderr|alsologtostderr|stderrthreshold|log[-_][a-z_-]+)(?:=|$)/,
  /^--?(?:add[-_]dir[-_]header|one[-_]output|skip[-_](?:log[-_])?headers)(?:=|$)/,
];

/** Paths stay as they are: in a kubeconfig they do not depend on the folder of this run. */
function convertLayer(layer: Layer, { withSecrets }: SecretsChoice): StanzaLogin {
  const settings = OPTIONS.flatMap((option) => {
    const setting = layer.get(option.name);
    return setting === undefined ? [] : [[option, setting] as const];
  });
  return makeStanzaLogin(settings, () => withSecrets);
}

/** Reads an old exec stanza: its flags under their current names, its variables as they are. */
function readStanza(
  exec: JsonObject,
  choice: SecretsChoice,
  args: readonly string[] = listStanzaArguments(exec),
): StanzaLogin {
  const { words, flags } = parseCommandLine(
    args.filter((argument) => !LOGGING_FLAGS.some((pattern) => pattern.test(argument))),
    OPTIONS,
  );
  if (words.some((word, index) => index > 0 || word !== 'get-token')) {
    throw new UsageError('it has arguments that are not options');
  }
  const { withSecrets } = choice;
  const login = convertLayer(flags, choice);
  const variables = readStanzaVariables(exec);
  const secrets = Object.keys(variables).filter((name) => SECRET_VARIABLES.has(name) && variables[name] !== '');
  const writtenVariables = Object.entries(variables).filter(([name]) => withSecrets || !secrets.includes(name));
  return {
    flags: login.flags,
    // A flag overrides its variable.
    env: { ...Object.fromEntries(writtenVariables), ...login.env },
    leftOut: [...login.leftOut, ...(withSecrets ? [] : secrets)],
  };
}

/** Reads a command that prints a Keystone token: the variables that it sets override those of its stanza. */
function readTokenLogin(exec: JsonObject, choice: SecretsChoice): StanzaLogin {
  const command = readTokenCommand(exec);
  if (command === undefined || 'problem' in command) throw new UsageError('it does not print a Keystone token');
  const inCommand = convertLayer(readEnvironment(command.env, OPTIONS), choice);
  const stanza = readStanza(exec, choice, command.pluginArguments ?? []);
  return {
    flags: [...inCommand.flags, ...stanza.flags],
    env: { ...stanza.env, ...inCommand.env },
    leftOut: [...inCommand.leftOut, ...stanza.leftOut],
  };
}

/**
 * Settings of the auth provider (client-go 1.25, `plugin/pkg/client/auth/openstack`), and the variables that replace
 * them.
 */
const PROVIDER_SETTINGS: readonly (readonly [name: string, variable: string])[] = [
  ['identityEndpoint', 'OS_AUTH_URL'],
  ['username', 'OS_USERNAME'],
  ['password', 'OS_PASSWORD'],
  ['name', 'OS_DOMAIN_NAME'],
  ['tenantId', 'OS_PROJECT_ID'],
  ['tenantName', 'OS_PROJECT_NAME'],
];

/** Without settings the auth provider read the variables of its process; an empty exec stanza does the same. */
function readProvider(provider: JsonObject, choice: SecretsChoice): StanzaLogin {
  const config = objectAt(provider, 'config');
  const env = Object.fromEntries(PROVIDER_SETTINGS.map(([name, variable]) => [variable, textAt(config, name) ?? '']));
  return convertLayer(readEnvironment(env, OPTIONS), choice);
}

/** Reads the login of each kind of user that can be converted. */
const READERS: Readonly<
  Partial<
    Record<UserKind, (user: JsonObject, choice: SecretsChoice, call: Invocation) => Promise<StanzaLogin> | StanzaLogin>
  >
> = {
  old: (user, choice) => readStanza(objectAt(user, 'exec') ?? {}, choice),
  'auth-provider': (user, choice) => readProvider(objectAt(user, 'auth-provider') ?? {}, choice),
  'token-command': (user, choice) => readTokenLogin(objectAt(user, 'exec') ?? {}, choice),
  token: (_, choice, call) => readConfiguredLogin(call, choice),
};

function listNamedContexts({ args, ownConfig }: Invocation): readonly string[] {
  const context = ownConfig.text('context');
  return context === undefined ? args : [context, ...args];
}

/** Lists the users of the contexts that are named, or all users with `--all`. */
function listUsers(kubeconfig: Kubeconfig, call: Invocation): string[] {
  const { ownConfig } = call;
  const names = listNamedContexts(call);
  if (ownConfig.isOn('all') === names.length > 0) {
    throw new UsageError('convert needs either the names of contexts or --all', {
      hint: 'name the contexts to convert, or give --all',
    });
  }
  if (ownConfig.isOn('all')) return kubeconfig.listNames('user');
  const users = names.map((name) => {
    const context = kubeconfig.find('context', name);
    if (context !== undefined) return textAt(context.value, 'user') ?? '';
    throw new UsageError(`the kubeconfig has no context "${name}"`, { hint: 'see "kubectl config get-contexts"' });
  });
  return [...new Set(users)];
}

/** Why a user cannot be converted, as a clause about the user. */
function describeProblem(user: JsonObject, kind: UserKind): string {
  if (kind === 'token') return 'logs in with a static token';
  if (kind === 'none') return 'has no login';
  const command = readTokenCommand(objectAt(user, 'exec') ?? {});
  if (command !== undefined && 'problem' in command) {
    return `logs in with a command that ${command.problem}, so it cannot be converted`;
  }
  return 'logs in in a way that cannot be converted';
}

/**
 * Whether to convert a user.
 *
 * @throws ConfigError if the user is named by its context and cannot be converted
 */
function shouldConvert(kubeconfig: Kubeconfig, name: string, user: JsonObject, call: Invocation): boolean {
  const kind = classifyUser(user, readStanzaVersion(call));
  if (CONVERTIBLE_KINDS.includes(kind) || (kind === 'token' && call.ownConfig.isOn('static-token'))) return true;
  if (kind === 'ours' || listNamedContexts(call).length === 0) return false;
  const [conversion] = describeConversion(kubeconfig, name);
  throw new ConfigError(`user "${name}" ${describeProblem(user, kind)}`, {
    hint: conversion ?? describeAlternative(kubeconfig, name),
  });
}

async function convertUser(kubeconfig: Kubeconfig, call: Invocation, name: string): Promise<StanzaLogin | undefined> {
  const user = kubeconfig.find('user', name)?.value;
  if (user === undefined)
    throw new ConfigError(`the kubeconfig has no user "${name}"`, { hint: 'add it, or correct the context' });
  const kind = classifyUser(user, readStanzaVersion(call));
  const readLogin = READERS[kind];
  if (!shouldConvert(kubeconfig, name, user, call) || readLogin === undefined) return undefined;
  try {
    const login = await readLogin(user, { withSecrets: call.ownConfig.isOn('with-secrets') }, call);
    const mode = textAt(objectAt(user, 'exec'), 'interactiveMode');
    const { command } = choosePluginCommand(call.host, call.ownConfig.text('command'));
    const stanza = makeExecStanza({ ...login, command, apiVersion: chooseStanzaVersion(call, user) });
    kubeconfig.set(
      'user',
      name,
      withExecStanza(user, mode === undefined ? stanza : { ...stanza, interactiveMode: mode }),
    );
    return login;
  } catch (error) {
    if (!(error instanceof PluginError) || kind === 'token') throw error;
    throw new ConfigError(`user "${name}" cannot be converted: ${error.message}`, {
      hint: 'correct it in the kubeconfig',
    });
  }
}

async function convert(call: Invocation): Promise<CommandResult> {
  const { ownConfig, host, reporter } = call;
  if (ownConfig.isOn('static-token') && ownConfig.isOn('all')) {
    throw new UsageError('--static-token and --all exclude each other', {
      hint: 'name the contexts to convert instead of --all',
    });
  }
  const kubeconfig = openCommandKubeconfig(call);
  const converted: string[] = [];
  const leftOut = new Set<string>();
  for (const name of listUsers(kubeconfig, call)) {
    const login = await convertUser(kubeconfig, call, name);
    if (login === undefined) continue;
    converted.push(name);
    for (const sources of login.leftOut) leftOut.add(sources);
  }
  const { warning } = choosePluginCommand(host, ownConfig.text('command'));
  if (warning !== undefined && converted.length > 0) reporter.warn(warning);
  const message = converted.length === 0 ? 'No user had to be converted.' : `Converted: ${converted.join(', ')}.`;
  return saveOrPreview(call, kubeconfig, {
    messages: [message, ...describeLeftOut([...leftOut])],
    data: { users: converted, leftOut: [...leftOut] },
    hasSecrets: ownConfig.isOn('with-secrets'),
  });
}

/** Replaces outdated logins with exec stanzas of this plugin. */
export const kubeconfigConvertCommand: Command = {
  words: ['kubeconfig', 'convert'],
  task: 'Set up',
  summary: 'convert outdated OpenStack logins to exec stanzas of this program',
  details: [
    'Converts the auth provider "openstack", which kubectl no longer supports, ' +
      'exec stanzas of the Go program, with an API version that kubectl no longer supports, or with another one than ' +
      'that of --exec-api-version, ' +
      'and exec stanzas that print OS_TOKEN or run "openstack token issue", as Magnum writes them. ' +
      'With --static-token it also replaces static tokens with the configured login. ' +
      'Secrets are left out unless --with-secrets is given; the backup copy of the file still contains them.',
  ],
  arguments: [{ name: 'CONTEXT', help: 'contexts to convert the users of', variadic: true }],
  options: [
    makeCommandOption({ name: 'all', kind: 'switch', help: 'convert every user that can be converted' }),
    makeCommandOption({
      name: 'static-token',
      kind: 'switch',
      help: 'also replace the static tokens of the contexts that are named',
    }),
    ...WRITE_OPTIONS,
    OUTPUT_OPTION,
  ],
  contextUse: 'subject',
  getTokenOptions: 'login',
  examples: [
    { line: 'kubeconfig convert --all --dry-run', summary: 'show what would be converted' },
    { line: 'kubeconfig convert --all', summary: 'convert all users that can be converted' },
  ],
  run: convert,
};
