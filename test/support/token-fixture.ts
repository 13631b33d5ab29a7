/** Somebody with a token at the real Keystone, whose requests are counted. */
import type { Test } from 'tap';
import { execInfo, makeHome, runPlugin } from './plugin.ts';
import type { Home, Ran } from './plugin.ts';
import { asUser, onProject } from './settings.ts';
import { markRequests, requestsSince } from './test-environment.ts';
import type { World } from './test-environment.ts';

type Settings = Readonly<Record<string, string>>;

/** Alice on demo, in a home of her own. */
export interface Desk {
  readonly home: Home;
  /** Where the settings of {@link Desk.alice} log in. */
  readonly url: string;
  readonly alice: Settings;
  readonly run: (args: readonly string[], env?: Settings) => Promise<Ran>;
  /** The token that kubectl gets. */
  readonly token: (env?: Settings) => Promise<string>;
  readonly posts: () => number;
  readonly deletes: () => number[];
}

export function sitDown(t: Test, { http, tenancy }: World): Desk {
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  const mark = markRequests(http);
  const { users, domain, projects } = tenancy;
  const alice = { OS_AUTH_URL: mark.url, ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const run: Desk['run'] = (args, env = alice) => runPlugin({ home, args, env });
  const list = (verb: string): number[] =>
    requestsSince(mark).flatMap(({ method, path, status }) =>
      method === verb && path.includes('auth/tokens') ? [status] : [],
    );
  return {
    home,
    url: mark.url,
    alice,
    run,
    async token(env = alice) {
      const ran = await run([], { ...env, KUBERNETES_EXEC_INFO: execInfo() });
      t.equal(ran.status, 0, ran.stderr);
      return (JSON.parse(ran.stdout) as { status: { token: string } }).status.token;
    },
    posts: () => list('POST').length,
    deletes: () => list('DELETE'),
  };
}
