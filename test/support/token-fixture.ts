/** Somebody with a token at the real Keystone, whose requests are counted. */
import type { Test } from 'tap';
import { makeExecInfo, makeHome, runPlugin } from './run-plugin.ts';
import type { Home, RunResult, EnvVars } from './run-plugin.ts';
import { asUser, onProject } from './login-settings.ts';
import type { LoginSettings } from './login-settings.ts';
import { watchRequests, listRequests } from './test-environment.ts';
import type { TestEnvironment } from './test-environment.ts';

/** Alice on demo, in a home of her own. */
export interface TokenFixture {
  readonly home: Home;
  /** Where the settings of {@link TokenFixture.aliceSettings} log in. */
  readonly url: string;
  readonly aliceSettings: LoginSettings;
  readonly run: (args: readonly string[], env?: EnvVars) => Promise<RunResult>;
  /** The token that kubectl gets. */
  readonly getToken: (env?: EnvVars) => Promise<string>;
  readonly countPosts: () => number;
  readonly listDeleteStatuses: () => number[];
}

export function setUpToken(t: Test, { http, tenancy }: TestEnvironment): TokenFixture {
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  const mark = watchRequests(http);
  const { users, domain, projects } = tenancy;
  const aliceSettings = { OS_AUTH_URL: mark.url, ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const run: TokenFixture['run'] = (args, env = aliceSettings) => runPlugin({ home, args, env });
  const list = (verb: string): number[] =>
    listRequests(mark).flatMap(({ method, path, status }) =>
      method === verb && path.includes('auth/tokens') ? [status] : [],
    );
  return {
    home,
    url: mark.url,
    aliceSettings,
    run,
    async getToken(env = aliceSettings) {
      const ran = await run([], { ...env, KUBERNETES_EXEC_INFO: makeExecInfo() });
      t.equal(ran.status, 0, ran.stderr);
      return (JSON.parse(ran.stdout) as { status: { token: string } }).status.token;
    },
    countPosts: () => list('POST').length,
    listDeleteStatuses: () => list('DELETE'),
  };
}
