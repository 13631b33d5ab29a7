// Checks on a sample that the real commands send what their shorter ways of running send.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { objectAt } from '../../src/shared/base/json.ts';
import type { JsonObject } from '../../src/shared/base/json.ts';
import { startStandInKeystone } from '../../test/support/stand-in-keystone.ts';
import type { StandInKeystone } from '../../test/support/stand-in-keystone.ts';
import { forgetSubstitutesOf } from '../../test/support/substitute-folders.ts';
import { runClient } from './ask-openstack.ts';
import { askPlugin, listPluginArguments } from './ask-plugin.ts';
import { writeCase } from './case.ts';
import type { Case, WrittenCase } from './case.ts';
import type { Laboratory } from './check-client.ts';
import { listClientArguments } from './compare.ts';
import type { OpenStackClient } from './find-openstack.ts';
import { describeAuth, describeClientLogin } from './login.ts';
import type { Login } from './login.ts';
import { LOOPBACK_URL } from './random-case.ts';

/** Whether a case sends one request to a server of this machine. */
export const isForRealCommands = (given: Case, openstack: Login): boolean =>
  new URL(LOOPBACK_URL).origin === openstack['address'] &&
  openstack['federation'] === undefined &&
  given.place !== 'current';

/** Points a case to another server. */
function moveCase(given: Case, url: string): Case {
  return JSON.parse(JSON.stringify(given).replaceAll(new URL(LOOPBACK_URL).origin, url)) as Case;
}

function takeLogin({ requests }: StandInKeystone): Login | undefined {
  const request = requests.find(({ method, path }) => method === 'POST' && path.startsWith('/v3/auth/tokens'));
  requests.length = 0;
  const auth = objectAt(request?.body as JsonObject | undefined, 'auth');
  return auth === undefined ? undefined : describeAuth(auth);
}

/** Runs the built plugin, and returns what it said. */
async function runPluginCommand(written: WrittenCase): Promise<string> {
  const env = { ...written.env, PATH: '/usr/bin:/bin', CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' };
  // The stand-in refuses every login, and the same one may be in the sample twice.
  const words = [...listPluginArguments(written), '--force-refresh'];
  const command = [join(process.cwd(), 'dist/client-keystone-auth.cjs'), ...words];
  // Without a terminal, so that it prompts for nothing.
  const child = spawn(process.execPath, command, {
    env,
    cwd: written.folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  return stderr.trim();
}

const isSame = (one: Login | undefined, other: Login | undefined): boolean =>
  JSON.stringify(Object.entries(one ?? {}).sort()) === JSON.stringify(Object.entries(other ?? {}).sort());

const withoutConnection = (login: Login): Login =>
  Object.fromEntries(Object.entries(login).filter(([name]) => name !== 'address'));

/**
 * Runs both commands as users do, against a stand-in Keystone.
 *
 * @returns what is wrong, one line for each case
 */
export async function checkRealCommands(
  sample: readonly Case[],
  openstack: OpenStackClient,
  { client, folder }: Laboratory,
): Promise<readonly string[]> {
  const keystone = await startStandInKeystone();
  const problems: string[] = [];
  try {
    for (const given of sample) {
      const written = writeCase(moveCase(given, keystone.url), folder);
      const run = { env: written.env, folder: written.folder, arguments: listClientArguments(written) };
      const expected = describeClientLogin(await client.ask(run));
      keystone.requests.length = 0;
      await runClient(openstack, run);
      const sent = takeLogin(keystone);
      if (expected === undefined || !isSame(sent, withoutConnection(expected))) {
        problems.push(`the real openstack sends ${JSON.stringify(sent)} and not ${JSON.stringify(expected)}`);
      }
      const answer = await askPlugin(written);
      const stderr = await runPluginCommand(written);
      // Without a cache, what it remembers of the refusal is in a folder of this machine.
      forgetSubstitutesOf(process.geteuid?.() ?? 0, written.env['HOME']);
      const sentByPlugin = takeLogin(keystone);
      const promised = 'login' in answer ? withoutConnection(answer.login) : undefined;
      // A token without another scope is only checked, which is not a login.
      const isCheck = promised?.['methods'] === '["token"]' && promised['scope'] === undefined;
      if (!isCheck && !isSame(sentByPlugin, promised)) {
        problems.push(
          `the real plugin sends ${JSON.stringify(sentByPlugin)} and not ${JSON.stringify(promised)}: ${stderr}`,
        );
      }
    }
  } finally {
    await keystone.close();
  }
  return problems;
}
