/** A context with its cluster and its user, put into a kubeconfig. */
import { readFileSync } from 'node:fs';
import { resolvePath } from '../../../shared/base/file-path.ts';
import { getErrorCode, ConfigError } from '../../../shared/base/errors.ts';
import { isPlaintextRemote } from '../../../shared/base/url.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { KubeconfigEntry, Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { classifyUser, withExecStanza } from '../../kubeconfig/exec-stanza.ts';
import type { Invocation } from '../command.ts';
import { quoteForShell } from '../quote-for-shell.ts';

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';

/** The names of what is added. */
export interface ContextNames {
  readonly context: string;
  readonly cluster: string;
  readonly user: string;
}

/** Whether a user logs in with a stanza of ours, or of the Go program. */
export function isPluginUser(user: KubeconfigEntry | undefined): boolean {
  return user !== undefined && ['ours', 'old'].includes(classifyUser(user.value));
}

/**
 * Reads the URL of an API server.
 *
 * @param origin of the text, in the words of a message
 * @throws ConfigError where the token would cross the network unencrypted, or it is no URL
 */
export function parseServerUrl(text: string, origin: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || isPlaintextRemote(url)) {
    throw new ConfigError(`${origin} must be the https:// URL of an API server`, {
      hint: 'it looks like https://kubernetes.example.com:6443',
    });
  }
  return url;
}

/**
 * Reads the file that `--certificate-authority` names, as PEM; undefined where it names none.
 *
 * @throws ConfigError where it cannot be read, or holds no certificate
 */
export function readAuthorityOption({ ownConfig, host }: Invocation): string | undefined {
  const named = ownConfig.text('certificate-authority');
  if (named === undefined) return undefined;
  const path = resolvePath(named, host);
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`--certificate-authority: ${path} cannot be read (${getErrorCode(error)})`, {
      hint: 'name a PEM file that you may read',
    });
  }
  if (hasCertificate(pem)) return pem;
  throw new ConfigError(`--certificate-authority: ${path} holds no PEM certificate`, {
    hint: `name a file with a line ${CERTIFICATE}`,
  });
}

/** Whether a text holds a certificate in PEM. */
export function hasCertificate(text: string): boolean {
  return text.includes(CERTIFICATE);
}

/**
 * Puts the context and its user there.
 *
 * @throws ConfigError where a user of that name logs in otherwise
 */
export function setContext(
  kubeconfig: Kubeconfig,
  call: Invocation,
  { context, cluster, user }: ContextNames,
  stanza: JsonObject,
  settings: JsonObject = {},
): void {
  const old = kubeconfig.find('user', user);
  if (old !== undefined && Object.keys(old.value).length > 0 && !isPluginUser(old)) {
    throw new ConfigError(`the kubeconfig has a user "${user}" that logs in otherwise`, {
      hint: 'give another name with --user; "kubeconfig convert" changes how a user logs in',
    });
  }
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

/** Says what there is now, and how to use it. */
export function describeContext(kubeconfig: Kubeconfig, { context, cluster, user }: ContextNames): string {
  const use =
    kubeconfig.currentContext === context
      ? 'It is the current one: kubectl get pods'
      : `Use it: kubectl --context=${quoteForShell(context)} get pods`;
  return `Context ${context} is for cluster ${cluster} and user ${user}. ${use}`;
}
