/** A user who logs in at the real Keystone, with the requests counted. */
import type { Test } from 'tap';
import { makeExecInfo, makeTestHome } from './home.ts';
import { runPlugin } from './run-plugin.ts';
import type { Home, EnvVars } from './home.ts';
import type { RunResult } from './run-plugin.ts';
import { asUser, onProject } from './login-settings.ts';
import type { LoginSettings } from './login-settings.ts';
import { watchRequests, listRequests } from './request-log.ts';
import type { TestEnvironment } from './test-environment.ts';

/** Alice on the project demo, with a home of her own. */
export interface TokenFixture {
  readonly home: Home;
  /** The Keystone URL in {@link TokenFixture.aliceSettings}. */
  readonly url: string;
  readonly aliceSettings: LoginSettings;
  readonly run: (args: readonly string[], env?: EnvVars) => Promise<RunResult>;
  /** Runs the plugin as kubectl does, and returns the token. */
  readonly getToken: (env?: EnvVars) => Promise<string>;
  readonly countPosts: () => number;
  readonly listDeleteStatuses: () => number[];
}

export function setUpToken(t: Test, { http, tenancy }: TestEnvironment): TokenFixture {
  const home = makeTestHome(t);
  const address = watchRequests(http);
  const { users, domain, projects } = tenancy;
  const aliceSettings = {
    OS_AUTH_URL: address.url,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
  };
  const run: TokenFixture['run'] = (args, env = aliceSettings) => runPlugin({ home, args, env });
  const listStatuses = (verb: string): number[] =>
    listRequests(address).flatMap(({ method, path, status }) =>
      method === verb && path.includes('auth/tokens') ? [status] : [],
    );
  return {
    home,
    url: address.url,
    aliceSettings,
    run,
    async getToken(env = aliceSettings) {
      const result = await run([], { ...env, KUBERNETES_EXEC_INFO: makeExecInfo() });
      t.equal(result.status, 0, result.stderr);
      return (JSON.parse(result.stdout) as { status: { token: string } }).status.token;
    },
    countPosts: () => listStatuses('POST').length,
    listDeleteStatuses: () => listStatuses('DELETE'),
  };
}
