/** The exec stanza of the kubeconfig: whether kubectl accepts it and runs the plugin, and with which settings. */
import { posix, win32 } from 'node:path';
import { API_VERSIONS } from '../../exec/exec-credential.ts';
import { findStats } from '../../../shared/base/find-stats.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import type { Host } from '../../../shared/base/host.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { readContext } from '../../kubeconfig/read-context.ts';
import type { NamedEntry, KubeconfigContext, ContextSelection } from '../../kubeconfig/read-context.ts';
import { classifyUser } from '../../kubeconfig/user-kind.ts';
import { findProgram } from '../../programs/find-program.ts';
import { findExecStanza } from '../kubectl-run.ts';
import type { ExecStanza } from '../kubectl-run.ts';
import { quoteForShell } from '../quote-for-shell.ts';
import { findAuthority } from './cluster.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** In characters. kubectl puts the certificate authority into a variable, and Linux limits a variable to 128 KiB. */
const MAX_AUTHORITY_LENGTH = 130_000;

const pathsOf = ({ platform }: Host): typeof posix => (platform === 'win32' ? win32 : posix);

const describeConvert = ({ name }: KubeconfigContext): string =>
  `run "${PROGRAM_NAME} kubeconfig convert ${quoteForShell(name)}"`;

/** How a user of a kubeconfig without an exec stanza logs in, by the key that is set. */
const OTHER_LOGINS: Readonly<Record<string, string>> = {
  token: 'with a token in the kubeconfig',
  tokenFile: 'with a token from a file',
  'client-certificate': 'with a certificate',
  'client-certificate-data': 'with a certificate',
};

/**
 * Finds the context that kubectl uses, and checks that its user logs in with the plugin.
 *
 * @throws ConfigError
 */
export function checkContext(host: Host, selection: ContextSelection): CheckOutcome<ExecStanza> {
  const fix = `create one with "${PROGRAM_NAME} kubeconfig add", or name another with --kubeconfig`;
  const context = readContext(host, selection);
  if (context === undefined) return warn('no kubeconfig was found', fix);
  const { name, user, cluster } = context;
  const stanza = findExecStanza(context);
  const where = `context ${name} in ${context.path}`;
  if (stanza !== undefined) {
    const found = `${where}: user ${user.name} at cluster ${cluster.name}`;
    const [warning] = context.warnings;
    if (warning === undefined) return pass(found, stanza);
    return warn(`${found}; ${warning}`, 'merge the two in the file', stanza);
  }
  const kind = classifyUser(user.value);
  const convert = describeConvert(context);
  if (kind === 'auth-provider') {
    return fail(`${where}: user ${user.name} logs in with the auth-provider that kubectl no longer supports`, convert);
  }
  if (kind === 'token-command') {
    return warn(`${where}: user ${user.name} logs in with a command that prints a Keystone token`, convert);
  }
  const command = textAt(objectAt(user.value, 'exec'), 'command') ?? '';
  const loginKey = Object.keys(OTHER_LOGINS).find((member) => member in user.value) ?? '';
  const how =
    objectAt(user.value, 'exec') === undefined
      ? (OTHER_LOGINS[loginKey] ?? 'without credentials')
      : `with ${command || 'no command'}`;
  return warn(`${where}: user ${user.name} logs in ${how}, not with ${PROGRAM_NAME}`, fix);
}

/** Returns the length of the certificate authority as kubectl passes it on, in Base64, in characters. */
function measureAuthority(cluster: NamedEntry): number {
  const source = findAuthority(cluster);
  if (source === undefined) return 0;
  if ('data' in source) return source.data.length;
  const bytes = findStats(source.file)?.size ?? 0;
  return Math.ceil(bytes / 3) * 4;
}

interface Rule {
  readonly isBroken: (exec: JsonObject, cluster: NamedEntry) => boolean;
  readonly outcome: (exec: JsonObject, context: KubeconfigContext) => CheckOutcome<never>;
}

/** The most serious first. */
const RULES: readonly Rule[] = [
  {
    isBroken: (exec) => !API_VERSIONS.some((version) => version === textAt(exec, 'apiVersion')),
    outcome: (exec, context) =>
      fail(
        `apiVersion is ${textAt(exec, 'apiVersion') ?? 'not set'}, which kubectl rejects`,
        `set it to ${API_VERSIONS[0]}, or ${describeConvert(context)}`,
      ),
  },
  {
    isBroken: (exec) =>
      textAt(exec, 'apiVersion') === API_VERSIONS[0] && (textAt(exec, 'interactiveMode') ?? '') === '',
    outcome: (_, context) =>
      fail(
        'interactiveMode is not set, which kubectl rejects',
        `set interactiveMode: IfAvailable, or ${describeConvert(context)}`,
      ),
  },
  {
    isBroken: (exec, cluster) =>
      exec['provideClusterInfo'] === true && measureAuthority(cluster) > MAX_AUTHORITY_LENGTH,
    outcome: () =>
      fail(
        "provideClusterInfo makes kubectl pass on the cluster's certificate authorities, which are too long for that",
        'set provideClusterInfo: false, or keep only the authorities that the cluster needs',
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

/** Checks that kubectl accepts the stanza. */
export function checkExecStanza({ exec, context }: ExecStanza): CheckOutcome<true> {
  const brokenRule = RULES.find(({ isBroken }) => isBroken(exec, context.cluster));
  if (brokenRule !== undefined) return { ...brokenRule.outcome(exec, context), value: true };
  const version = textAt(exec, 'apiVersion')?.split('/').at(-1) ?? '';
  const mode = textAt(exec, 'interactiveMode') ?? 'IfAvailable';
  const providesInfo = exec['provideClusterInfo'] === true;
  return pass(`${version}, interactiveMode ${mode}, provideClusterInfo ${String(providesInfo)}`, true);
}

/** Returns the command as kubectl runs it: a relative path starts in the folder of the kubeconfig. */
export function resolveCommand({ command, context }: ExecStanza, host: Host): string {
  const paths = pathsOf(host);
  return /[/\\]/.test(command) ? paths.resolve(paths.dirname(context.user.path), command) : command;
}

/** Checks that kubectl finds the command. */
export function checkCommand(stanza: ExecStanza, host: Host): CheckOutcome<string> {
  const command = resolveCommand(stanza, host);
  const path = findProgram(command, host);
  if (path !== undefined) return pass(path === command ? path : `${command} is ${path}`, command);
  if (command === stanza.command && !/[/\\]/.test(command)) {
    return fail(
      `${command} is not on the PATH`,
      `put ${PROGRAM_NAME} into a folder on the PATH, or write its full path into the kubeconfig`,
    );
  }
  return fail(
    `${command} does not exist or is not executable`,
    `install ${PROGRAM_NAME} there, or correct command in ${stanza.context.user.path}`,
  );
}
