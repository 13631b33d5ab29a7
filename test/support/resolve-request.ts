/** Makes the token request for a command line, an environment and files, without sending it. */
import { readConfig } from '../../src/plugin/config/read-config.ts';
import type { ResolvedConfig } from '../../src/plugin/config/resolve-config.ts';
import { parseGetTokenCommand, scanArguments } from '../../src/plugin/cli/parse-command-line.ts';
import type { FileStamp } from '../../src/shared/base/file-stamp.ts';
import type { Host } from '../../src/shared/base/host.ts';
import type { AuthRequest } from '../../src/shared/keystone/auth-request.ts';
import { serializeWithSecrets } from '../../src/shared/keystone/auth-request.ts';
import { chooseMethod } from '../../src/plugin/auth-methods/choose-method.ts';
import type { AuthMethod, MethodContext } from '../../src/plugin/auth-methods/auth-method.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { fakeHost } from './fake-host.ts';
import type { EnvVars } from './home.ts';

export interface ResolvedRequest {
  readonly config: ResolvedConfig;
  readonly method: AuthMethod;
  /** Names of the missing options. */
  readonly missing: readonly string[];
  readonly request: AuthRequest;
  /** `auth` in the body of the request; undefined for a request without a body. */
  readonly auth: unknown;
  readonly warnings: readonly string[];
  /** The files that the request depends on. */
  readonly files: readonly FileStamp[];
}

/** Makes a method fail that needs another request first, unless the test has the tools for it. */
const makeTools = (host: Host, tools: Partial<MethodContext>): MethodContext =>
  new Proxy({ host, ...tools } as MethodContext, {
    get: (given, name): unknown => {
      if (name in given) return Reflect.get(given, name);
      throw new Error(`the method uses ${String(name)}`);
    },
  });

/** A folder that does not exist, so that a test reads only its own files. */
const NOWHERE = '/nowhere/of/these/tests';

/**
 * Resolves a request.
 *
 * @param parts overrides of the host; `cwd` and `home` are the folders of files
 * @param tools for a method that sends another request first
 */
export async function resolveRequest(
  argv: readonly string[],
  env: EnvVars = {},
  parts: Partial<Host> = {},
  tools: Partial<MethodContext> = {},
): Promise<ResolvedRequest> {
  const host = fakeHost({ cwd: NOWHERE, home: () => NOWHERE, ...parts, argv, env });
  const { config, files } = await readConfig(host, parseGetTokenCommand(scanArguments(argv)).flags, OPTIONS);
  const { method } = chooseMethod(config);
  const request = await method.prepareRequest(config, makeTools(host, tools));
  if ('token' in request) throw new Error('the method returned a token instead of a request');
  const { body } = request;
  const sent = body === undefined ? undefined : (JSON.parse(serializeWithSecrets(body)) as { auth: unknown });
  return {
    config,
    method,
    request,
    missing: method.listMissing(config),
    auth: sent?.auth,
    warnings: config.warnings,
    files,
  };
}
