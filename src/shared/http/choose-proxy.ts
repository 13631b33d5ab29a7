/**
 * Which proxy a request uses. Everything that connects asks {@link chooseProxy}: requests, helpers such as curl, and the
 * commands that report it.
 */
import type { Environment, Host } from '../base/host.ts';
import { isExcluded, isLoopback } from './no-proxy.ts';
import { parseProxy } from './proxy.ts';
import type { Proxy } from './proxy.ts';

/** A proxy, or why the request goes directly to the server. */
export type ProxyChoice = { readonly proxy: Proxy } | { readonly proxy: undefined; readonly because: string };

/** Chooses the proxy for a URL. */
export type ProxyRule = (url: URL) => ProxyChoice;

/** Best first, as curl reads them. An empty variable counts as unset. */
function findVariable(env: Environment, names: readonly string[]): readonly [name: string, value: string] | undefined {
  for (const name of names) {
    const value = env[name] ?? '';
    if (value.trim() !== '') return [name, value];
  }
  return undefined;
}

function listVariables(env: Environment, { protocol }: URL): readonly string[] {
  if (protocol === 'https:') return ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];
  if (protocol !== 'http:') return [];
  // In a CGI program, HTTP_PROXY is a header of the client's request (CVE-2016-5385).
  const isCgi = (env['REQUEST_METHOD'] ?? '') !== '';
  return ['http_proxy', ...(isCgi ? [] : ['HTTP_PROXY']), 'all_proxy', 'ALL_PROXY'];
}

/** The variable whose proxy a request uses, or why there is none. */
type Setting = readonly [name: string, value: string] | { readonly because: string };

function findSetting(env: Environment, url: URL): Setting {
  const variable = findVariable(env, listVariables(env, url));
  if (variable === undefined) return { because: 'no variable names one' };
  const [name] = variable;
  if (isLoopback(url)) return { because: `${name} does not apply to this machine` };
  const exceptions = findVariable(env, ['no_proxy', 'NO_PROXY']);
  if (exceptions === undefined || !isExcluded(url, exceptions[1])) return variable;
  return { because: `${exceptions[0]} excludes ${url.host} from ${name}` };
}

/**
 * Chooses the proxy that the environment names for a URL, by the rule of Go, and with `ALL_PROXY` as in curl. A setting
 * that is not used is not parsed.
 *
 * @throws ConfigError that names the variable, if the proxy would be used and is malformed or not supported
 */
export function chooseProxy(env: Environment, url: URL): ProxyChoice {
  const setting = findSetting(env, url);
  if ('because' in setting) return { proxy: undefined, because: setting.because };
  const [name, value] = setting;
  return { proxy: parseProxy(value, name) };
}

/**
 * Finds the variable with a proxy for an http:// URL that a kubeconfig may have set. Such a proxy is not used: it would
 * see the credential. A proxy for https:// carries only TLS, so a kubeconfig can name it.
 */
export function findForeignProxy(host: Host, url: URL): string | undefined {
  const setting = url.protocol === 'http:' ? findSetting(host.env, url) : { because: 'TLS' };
  if ('because' in setting) return undefined;
  const [name, value] = setting;
  return host.personalVariables()[name] === value ? undefined : name;
}

/** Makes the rule of a run. */
export function makeProxyRule(host: Host): ProxyRule {
  return (url) => {
    const foreign = findForeignProxy(host, url);
    if (foreign === undefined) return chooseProxy(host.env, url);
    return { proxy: undefined, because: `${foreign} may come from a kubeconfig` };
  };
}
