/** The token request that a command line and an environment lead to, without sending it. */
import { readEnvironment } from '../../src/config/env.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import type { ResolvedConfig } from '../../src/config/resolve.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import type { AuthRequest } from '../../src/keystone/auth-request.ts';
import { serialise } from '../../src/keystone/auth-request.ts';
import { chooseMethod } from '../../src/methods/choose.ts';
import type { AuthMethod, Tools } from '../../src/methods/method.ts';
import { OPTIONS } from '../../src/methods/registry.ts';
import { fakeHost } from './fake-host.ts';

export type Environment = Readonly<Record<string, string>>;

export interface Asked {
  readonly config: ResolvedConfig;
  readonly method: AuthMethod;
  /** Names of what is missing. */
  readonly missing: readonly string[];
  readonly request: AuthRequest;
  /** `auth` of the body as Keystone would get it; undefined for a request without a body. */
  readonly auth: unknown;
  readonly warnings: readonly string[];
}

/** A method that has to ask somebody first has no place in these tests. */
const noTools: Tools = new Proxy({} as Tools, {
  get: (_tools, name) => {
    throw new Error(`the method wants ${String(name)}`);
  },
});

export async function requestOf(argv: readonly string[], env: Environment = {}): Promise<Asked> {
  const command = await parseCommand(fakeHost({ argv, env }));
  if ('print' in command) throw new Error('a text was printed instead');
  const config = resolveConfig([command.flags, readEnvironment(env, OPTIONS)], OPTIONS);
  const method = chooseMethod(config);
  const request = await method.request(config, noTools);
  if ('token' in request) throw new Error('a token was given instead');
  const { body } = request;
  const sent = body === undefined ? undefined : (JSON.parse(serialise(body)) as { auth: unknown });
  return { config, method, request, missing: method.missing(config), auth: sent?.auth, warnings: config.warnings };
}
