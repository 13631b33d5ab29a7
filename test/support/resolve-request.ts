/** The token request that a command line, an environment and files lead to, without sending it. */
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
import type { EnvVars } from './run-plugin.ts';

export interface ResolvedRequest {
  readonly config: ResolvedConfig;
  readonly method: AuthMethod;
  /** Names of what is missing. */
  readonly missing: readonly string[];
  readonly request: AuthRequest;
  /** `auth` of the body as Keystone would get it; undefined for a request without a body. */
  readonly auth: unknown;
  readonly warnings: readonly string[];
  /** The files that it depends on. */
  readonly files: readonly FileStamp[];
}

/** A method that has to ask somebody first has no place in these tests. */
const noTools: MethodContext = new Proxy({} as MethodContext, {
  get: (_tools, name) => {
    throw new Error(`the method wants ${String(name)}`);
  },
});

/** A folder that is on no machine, so that a test finds no file but its own. */
const NOWHERE = '/nowhere/of/these/tests';

/** @param parts of the host: `cwd` and `home` say where files are */
export async function resolveRequest(
  argv: readonly string[],
  env: EnvVars = {},
  parts: Partial<Host> = {},
): Promise<ResolvedRequest> {
  const host = fakeHost({ cwd: NOWHERE, home: () => NOWHERE, ...parts, argv, env });
  const { config, files } = await readConfig(host, parseGetTokenCommand(scanArguments(argv)).flags, OPTIONS);
  const { method } = chooseMethod(config);
  const request = await method.prepareRequest(config, noTools);
  if ('token' in request) throw new Error('a token was given instead');
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
