// Asks the plugin what it would send, without a process and without a connection.

import { chooseMethod } from '../../src/plugin/auth-methods/choose-method.ts';
import type { MethodContext } from '../../src/plugin/auth-methods/auth-method.ts';
import { findMissingOptions } from '../../src/plugin/auth-methods/missing-options.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { parseGetTokenCommand, scanArguments } from '../../src/plugin/cli/parse-command-line.ts';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import { readKeystoneTls } from '../../src/plugin/login/keystone-tls.ts';
import { PluginError } from '../../src/shared/base/errors.ts';
import { makeProcessHost } from '../../src/shared/base/host.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { serializeWithSecrets, toScopeJson } from '../../src/shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../src/shared/keystone/auth-request.ts';
import { readAuthUrl } from '../../src/shared/keystone/auth-url.ts';
import { objectAt, parseJsonObject } from '../../src/shared/base/json.ts';
import type { WrittenCase } from './case.ts';
import { describeAuth, describeConnection, describeFederation } from './login.ts';
import type { Login } from './login.ts';

/** The plugin's name of a flag, where it is not the one of `openstack`. */
const FLAG_NAMES: Readonly<Record<string, string>> = {
  cloud: 'os-cloud',
  'auth-url': 'keystone-url',
  username: 'user-name',
};

/** What the plugin would do. */
export type PluginAnswer =
  | { readonly login: Login; readonly warnings: readonly string[] }
  /** The error, as one line. */
  | { readonly refusal: string };

/** The arguments of the plugin for a case. */
export function listPluginArguments({ flags }: WrittenCase): string[] {
  return Object.entries(flags).map(([name, value]) => `--${FLAG_NAMES[name] ?? name}=${value}`);
}

const noTools: MethodContext = new Proxy({} as MethodContext, {
  get: (_tools, name) => {
    throw new Error(`the method uses ${String(name)}`);
  },
});

const reveal = (value: Secret | string | undefined): string =>
  value instanceof Secret ? value.reveal() : (value ?? '');

function describeRequest({ body, path, headers, rescopeTarget, existingToken }: AuthRequest): Login {
  if (path.startsWith('OS-FEDERATION')) {
    const scope = rescopeTarget === undefined ? undefined : toScopeJson(rescopeTarget);
    return describeFederation(path, reveal(headers?.['authorization']), scope);
  }
  // To check a token is to use it without another scope.
  if (body === undefined)
    return describeAuth({ identity: { methods: ['token'], token: { id: reveal(existingToken) } } });
  return describeAuth(objectAt(parseJsonObject(serializeWithSecrets(body)), 'auth'));
}

/** Asks the plugin. `allow-http` is set, because `openstack` has no such check. */
export async function askPlugin(written: WrittenCase): Promise<PluginAnswer> {
  const argv = [...listPluginArguments(written), '--allow-http'];
  const { env, folder } = written;
  const host: Host = {
    ...makeProcessHost(),
    argv,
    env,
    cwd: folder,
    home: () => env['HOME'],
    accountHome: () => undefined,
    personalVariables: () => env,
    unsetVariables: () => undefined,
  };
  try {
    const { config } = await readConfig(host, parseGetTokenCommand(scanArguments(argv)).flags, OPTIONS);
    const { method } = chooseMethod(config);
    const missing = findMissingOptions(config, method).map(({ name }) => name);
    if (missing.length > 0) return { refusal: `${method.name} lacks ${missing.join(', ')}` };
    const tls = readKeystoneTls(config, host);
    const request = await method.prepareRequest(config, { ...noTools, host });
    if ('token' in request) return { refusal: 'a token without a request' };
    const verify = tls.insecure ? false : (tls.paths.ca ?? true);
    const connection = { url: readAuthUrl(config) ?? '', verify, cert: tls.paths.cert, key: tls.paths.key };
    return { login: { ...describeConnection(connection), ...describeRequest(request) }, warnings: config.warnings };
  } catch (error) {
    if (error instanceof PluginError) return { refusal: error.message };
    throw error;
  }
}
