/** The part of the kubeconfig that makes kubectl run this program: whether it would, and with which settings. */
import { statSync } from 'node:fs';
import { dirname, posix, resolve, win32 } from 'node:path';
import { GET_TOKEN, parseGetTokenCommand, scanArguments } from '../../cli/parse-command-line.ts';
import { mergeLayers } from '../../../shared/options/layer.ts';
import type { Layer } from '../../config/option.ts';
import { API_VERSIONS } from '../../exec/exec-credential.ts';
import type { Host } from '../../../shared/base/host.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { readContext } from '../../kubeconfig/read-context.ts';
import type { NamedEntry, KubeconfigContext, ContextSelection } from '../../kubeconfig/read-context.ts';
import {
  listStanzaArguments,
  isPluginCommand,
  classifyUser,
  readStanzaVariables,
} from '../../kubeconfig/exec-stanza.ts';
import type { RunContext } from '../../login/login-context.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { findProgram } from '../find-program.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

const NAME = 'client-keystone-auth';

/** Linux takes no variable longer than 128 KiB, and kubectl puts the authority's certificate into one. */
const LONGEST_AUTHORITY = 130_000;

/** An exec section that runs this program, and where it stands. */
export interface ExecStanza {
  readonly context: KubeconfigContext;
  readonly exec: JsonObject;
  readonly command: string;
}

const pathsOf = ({ platform }: Host): typeof posix => (platform === 'win32' ? win32 : posix);

const CONVERT = `run "${NAME} kubeconfig convert"`;

/** How a user of a kubeconfig logs in, by the member that says so. */
const OTHER_LOGINS: Readonly<Record<string, string>> = {
  token: 'with a token that stands there',
  tokenFile: 'with a token of a file',
  'client-certificate': 'with a certificate',
  'client-certificate-data': 'with a certificate',
};

/**
 * Finds whom kubectl would be, and whether it would ask us for that.
 *
 * @throws ConfigError
 */
export function checkContext(host: Host, wanted: ContextSelection): CheckOutcome<ExecStanza> {
  const make = 'make one with "client-keystone-auth kubeconfig add", or name one with --kubeconfig';
  const context = readContext(host, wanted);
  if (context === undefined) return warn('there is none', make);
  const { name, user, cluster } = context;
  const exec = objectAt(user.value, 'exec');
  const command = textAt(exec, 'command') ?? '';
  const where = `context ${name} in ${context.path}`;
  if (exec !== undefined && isPluginCommand(command)) {
    return pass(`${where}: user ${user.name} at cluster ${cluster.name}`, { context, exec, command });
  }
  if (classifyUser(user.value) === 'auth-provider') {
    return fail(`${where}: user ${user.name} logs in with the auth-provider that kubectl no longer has`, CONVERT);
  }
  const other = Object.keys(OTHER_LOGINS).find((member) => member in user.value) ?? '';
  const how = exec === undefined ? (OTHER_LOGINS[other] ?? 'in no way') : `with ${command || 'no command'}`;
  return warn(`${where}: user ${user.name} logs in ${how}, not with ${NAME}`, make);
}

/** Whether there is anything in a stanza that a shell does not have. */
export function hasOwnSettings({ exec }: ExecStanza): boolean {
  return (
    Object.keys(readStanzaVariables(exec)).length > 0 ||
    listStanzaArguments(exec).some((argument) => argument !== GET_TOKEN)
  );
}

function nameOrigin(layer: Layer): Layer {
  return new Map(
    [...layer].map(([name, setting]) => [name, { ...setting, origin: `${setting.origin} of the kubeconfig` }]),
  );
}

/**
 * The run that kubectl would start: what the stanza sets is stronger than the shell's variables, and weaker than the flags of
 * this command.
 *
 * @throws UsageError | ConfigError where kubectl's run would end with it
 */
export function makeKubectlRun(run: RunContext, { exec }: ExecStanza): RunContext {
  const { flags } = parseGetTokenCommand(scanArguments(listStanzaArguments(exec)));
  return {
    ...run,
    host: { ...run.host, env: { ...run.host.env, ...readStanzaVariables(exec) } },
    flags: mergeLayers([run.flags, nameOrigin(flags)], OPTIONS),
  };
}

/** How long the authority's certificate is as kubectl passes it on, in characters. */
function authorityLength({ path, value }: NamedEntry): number {
  const data = textAt(value, 'certificate-authority-data') ?? '';
  const file = textAt(value, 'certificate-authority') ?? '';
  if (data !== '' || file === '') return data.length;
  const bytes = statSync(resolve(dirname(path), file), { throwIfNoEntry: false })?.size ?? 0;
  return Math.ceil(bytes / 3) * 4;
}

interface Rule {
  readonly isBroken: (exec: JsonObject, cluster: NamedEntry) => boolean;
  readonly outcome: (exec: JsonObject) => CheckOutcome<never>;
}

/** The worst first. */
const RULES: readonly Rule[] = [
  {
    isBroken: (exec) => !API_VERSIONS.some((version) => version === textAt(exec, 'apiVersion')),
    outcome: (exec) =>
      fail(
        `apiVersion is ${textAt(exec, 'apiVersion') ?? 'not set'}, which kubectl refuses`,
        `set it to ${API_VERSIONS[0]}, or ${CONVERT}`,
      ),
  },
  {
    isBroken: (exec) =>
      textAt(exec, 'apiVersion') === API_VERSIONS[0] && (textAt(exec, 'interactiveMode') ?? '') === '',
    outcome: () =>
      fail('interactiveMode is not set, which kubectl refuses', `set interactiveMode: IfAvailable, or ${CONVERT}`),
  },
  {
    isBroken: (exec, cluster) => exec['provideClusterInfo'] === true && authorityLength(cluster) > LONGEST_AUTHORITY,
    outcome: () =>
      fail(
        "provideClusterInfo makes kubectl pass on the cluster's authorities, which are too long for that",
        'set provideClusterInfo: false, or keep only the authorities that are needed',
      ),
  },
  {
    isBroken: (exec) => textAt(exec, 'interactiveMode') === 'Always',
    outcome: () =>
      warn(
        'interactiveMode is Always: kubectl fails without a terminal and with "apply -f -"',
        'set interactiveMode: IfAvailable',
      ),
  },
];

/** Whether kubectl takes the stanza. */
export function checkExecStanza({ exec, context }: ExecStanza): CheckOutcome<true> {
  const broken = RULES.find(({ isBroken }) => isBroken(exec, context.cluster));
  if (broken !== undefined) return { ...broken.outcome(exec), value: true };
  const version = textAt(exec, 'apiVersion')?.split('/').at(-1) ?? '';
  const mode = textAt(exec, 'interactiveMode') ?? 'IfAvailable';
  const info = exec['provideClusterInfo'] === true;
  return pass(`${version}, interactiveMode ${mode}, provideClusterInfo ${String(info)}`, true);
}

/** The command as kubectl runs it: one with a folder begins in that of the kubeconfig. */
export function resolveCommand({ command, context }: ExecStanza, host: Host): string {
  const paths = pathsOf(host);
  return /[/\\]/.test(command) ? paths.resolve(paths.dirname(context.user.path), command) : command;
}

/** Whether kubectl would find the program. */
export function checkCommand(stanza: ExecStanza, host: Host): CheckOutcome<string> {
  const command = resolveCommand(stanza, host);
  const found = findProgram(command, host);
  if (found !== undefined) return pass(found === command ? found : `${command} is ${found}`, command);
  if (command === stanza.command && !/[/\\]/.test(command)) {
    return fail(
      `${command} is not on the PATH`,
      `put ${NAME} into a folder of the PATH, or its whole path into the kubeconfig`,
    );
  }
  return fail(
    `${command} is not there, or cannot be run`,
    `install ${NAME} there, or correct command in ${stanza.context.user.path}`,
  );
}
