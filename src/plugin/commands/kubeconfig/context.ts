/** Adds a context with its cluster and its user to a kubeconfig. */
import { resolvePath } from '../../../shared/base/host.ts';
import { ConfigError } from '../../../shared/base/errors.ts';
import { MAX_PEM_BYTES, readNamedFile } from '../../../shared/base/read-file.ts';
import { isPlaintextRemote, parseWebUrl } from '../../../shared/http/peer.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { textAt } from '../../../shared/base/json.ts';
import { makeExecStanza, withExecStanza } from '../../kubeconfig/exec-stanza.ts';
import type { StanzaSettings } from '../../kubeconfig/exec-stanza.ts';
import { classifyUser, isPluginUser } from '../../kubeconfig/user-kind.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import type { Invocation } from '../command.ts';
import { quoteForShell } from '../quote-for-shell.ts';
import { describeConversion } from './conversion.ts';
import { chooseStanzaVersion } from './stanza-version.ts';

const PEM_HEADER = '-----BEGIN CERTIFICATE-----';

/** The names of a context, its cluster and its user. */
export interface ContextNames {
  readonly context: string;
  readonly cluster: string;
  readonly user: string;
}

/** How the user of a context logs in. */
export type ContextLogin = Omit<StanzaSettings, 'apiVersion'>;

/**
 * Names the user of a context: `--user`, else the current user if it logs in with this plugin, else the name of the
 * context.
 */
export function nameContext(
  kubeconfig: Kubeconfig,
  { ownConfig }: Invocation,
  context: string,
  cluster: string,
): ContextNames {
  const current = textAt(kubeconfig.find('context', context)?.value, 'user');
  const entry = current === undefined ? undefined : kubeconfig.find('user', current);
  const reusable = entry !== undefined && isPluginUser(entry.value) ? current : undefined;
  return { context, cluster, user: ownConfig.text('user') ?? reusable ?? context };
}

/** @throws ConfigError if the kubeconfig has a cluster of this name with another server */
export function rejectOtherServer(kubeconfig: Kubeconfig, name: string, server: unknown, hint: string): void {
  const old = textAt(kubeconfig.find('cluster', name)?.value, 'server');
  if (old === undefined || old === server) return;
  throw new ConfigError(`the kubeconfig has a cluster "${name}" with another server`, { hint });
}

/** @throws ConfigError if the kubeconfig has a context of this name for another cluster */
export function rejectOtherCluster(kubeconfig: Kubeconfig, name: string, cluster: string, hint: string): void {
  const old = textAt(kubeconfig.find('context', name)?.value, 'cluster');
  if (old === undefined || old === cluster) return;
  throw new ConfigError(`the kubeconfig has a context "${name}" for another cluster`, { hint });
}

/**
 * Parses the URL of an API server.
 *
 * @param origin names the source of the text in messages
 * @throws ConfigError if it is not a URL, or the token would be sent unencrypted
 */
export function parseServerUrl(text: string, origin: string): URL {
  const url = parseWebUrl(text);
  if (url !== undefined && !isPlaintextRemote(url)) return url;
  throw new ConfigError(`${origin} must be the https:// URL of an API server`, {
    hint: 'it looks like https://kubernetes.example.com:6443',
  });
}

/**
 * Reads the PEM file of `--certificate-authority`; undefined if the option is not set.
 *
 * @throws ConfigError if the file cannot be read, or contains no certificate
 */
export function readAuthorityOption({ ownConfig, host }: Invocation): string | undefined {
  const option = ownConfig.text('certificate-authority');
  return option === undefined ? undefined : readAuthority(resolvePath(option, host), '--certificate-authority');
}

/**
 * Reads a PEM file of certificates.
 *
 * @param origin names the source of the path in messages
 * @throws ConfigError if the file cannot be read, or contains no certificate
 */
export function readAuthority(path: string, origin: string): string {
  const pem = readNamedFile(path, MAX_PEM_BYTES, origin, 'name a PEM file that you can read').toString();
  if (hasCertificate(pem)) return pem;
  throw new ConfigError(`${origin}: ${path} contains no PEM certificate`, {
    hint: `name a file that contains ${PEM_HEADER}`,
  });
}

/** Whether a text contains a PEM certificate. */
export function hasCertificate(text: string): boolean {
  return text.includes(PEM_HEADER);
}

/** Whether a user logs in, but not with this program. */
function isForeign(kubeconfig: Kubeconfig, user: string): boolean {
  const value = kubeconfig.find('user', user)?.value ?? {};
  return !isPluginUser(value) && classifyUser(value) !== 'none';
}

/** @throws ConfigError if the context or the user logs in in another way, which the new login would replace */
function rejectForeignLogin(kubeconfig: Kubeconfig, context: string, user: string): void {
  if (isForeign(kubeconfig, user)) {
    throw new ConfigError(`the kubeconfig has a user "${user}" that logs in in another way`, {
      hint: ['give another name with --user', ...describeConversion(kubeconfig, user)].join(', or '),
    });
  }
  const current = textAt(kubeconfig.find('context', context)?.value, 'user');
  if (current === undefined || !isForeign(kubeconfig, current)) return;
  throw new ConfigError(`the kubeconfig has a context "${context}" that logs in in another way`, {
    hint: ['give another name with --name', ...describeConversion(kubeconfig, current)].join(', or '),
  });
}

/**
 * Adds the context and its user. If there is no usable current context, this context becomes the current one.
 *
 * @throws UsageError for an API version that no kubectl knows
 * @throws ConfigError if a context or a user of that name logs in in another way
 */
export function setContext(
  kubeconfig: Kubeconfig,
  call: Invocation,
  { context, cluster, user }: ContextNames,
  login: ContextLogin,
  settings: JsonObject = {},
): void {
  rejectForeignLogin(kubeconfig, context, user);
  const old = kubeconfig.find('user', user);
  const stanza = makeExecStanza({ ...login, apiVersion: chooseStanzaVersion(call, old?.value) });
  kubeconfig.set('user', user, withExecStanza(old?.value ?? {}, stanza));
  const namespace = call.ownConfig.text('namespace');
  kubeconfig.set('context', context, {
    ...settings,
    ...kubeconfig.find('context', context)?.value,
    cluster,
    user,
    ...(namespace === undefined ? {} : { namespace }),
  });
  const current = kubeconfig.currentContext;
  const isDangling = current === undefined || kubeconfig.find('context', current) === undefined;
  if (call.ownConfig.isOn('set-current') || isDangling) kubeconfig.setCurrentContext(context);
}

/** Describes a context that was added, and how to use it. */
export function describeContext(kubeconfig: Kubeconfig, { context, cluster, user }: ContextNames): string {
  const usage =
    kubeconfig.currentContext === context
      ? 'It is the current context: kubectl get pods'
      : `Use it with: kubectl --context=${quoteForShell(context)} get pods`;
  return `Context ${context} uses cluster ${cluster} and user ${user}. ${usage}`;
}
