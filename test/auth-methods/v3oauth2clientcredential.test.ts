// Against: a real Keystone.

import t from 'tap';
import { EXIT_STATUS } from '../support/check-run.ts';
import { onProject } from '../support/login-settings.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import { openWatchedLog, checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import { watchRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(120_000);

const TOKEN = 'POST /v3/OS-OAUTH2/token';
const GET = 'GET /v3/auth/tokens?nocatalog=true';

function asClient({ id, secret }: { id: string; secret: string }): Record<string, string> {
  return { OS_AUTH_TYPE: 'v3oauth2clientcredential', OS_OAUTH2_CLIENT_ID: id, OS_OAUTH2_CLIENT_SECRET: secret };
}

/** An application credential whose secret was chosen by a user. */
async function createCredential(
  { http, tenancy }: TestEnvironment,
  secret: string,
): Promise<{ id: string; secret: string }> {
  const { alice } = tenancy.users;
  const token = await logIn(http, alice, { project: { id: tenancy.projects.demo.id } });
  const response = await fetch(`${http.url}/v3/users/${alice.id}/application_credentials`, {
    method: 'POST',
    headers: { 'x-auth-token': token, 'content-type': 'application/json' },
    body: JSON.stringify({ application_credential: { name: `chosen ${secret}`, secret } }),
  });
  const { application_credential: made } = (await response.json()) as { application_credential: { id: string } };
  return { id: made.id, secret };
}

testWithKeystone('the access token is a Keystone token of the application credential', async (t, environment) => {
  const { applicationCredentials, domain, projects } = environment.tenancy;
  const { valid, shortLived } = applicationCredentials;
  const chosen = await createCredential(environment, 'p@ss+w%20rd: "ü"/~');
  for (const [name, credential, server, settings] of [
    ['with TLS', valid, 'tls', {}],
    ['without', valid, 'http', {}],
    ['with an endpoint', valid, 'tls', { OS_OAUTH2_ENDPOINT: '@/v3/OS-OAUTH2/token' }],
    ['with the scope of the credential', valid, 'tls', onProject(projects.demo, domain)],
    ['a secret with special characters', chosen, 'tls', {}],
    ['a credential that expires before its token', shortLived, 'tls', {}],
  ] as const) {
    await t.test(name, async (t) => {
      const address = watchRequests(environment[server]);
      const endpoint =
        'OS_OAUTH2_ENDPOINT' in settings ? settings.OS_OAUTH2_ENDPOINT.replace('@', address.url) : undefined;
      const env = {
        OS_AUTH_URL: `${address.url}/v3`,
        OS_CACERT: environment.pki.ca,
        ...asClient(credential),
        ...settings,
        OS_OAUTH2_ENDPOINT: endpoint,
      };
      const path = endpoint === undefined ? `${TOKEN} 200` : `POST ${endpoint.slice(address.url.length)} 200`;
      const attempt = {
        env,
        requestLog: openWatchedLog(address),
        requests: [path, `${GET} 200`],
        secrets: [credential.secret],
      };
      const { token, expirationTimestamp } = await logInTwice(t, attempt);
      const facts = await validateToken(environment.http, token);
      t.match(facts, { user: { name: 'alice' }, project: { name: 'demo' }, methods: ['application_credential'] });
      t.equal(Date.parse(expirationTimestamp), Math.floor(Date.parse(facts?.expiresAt ?? '') / 1000) * 1000);
      if (credential !== shortLived) return;
      const left = Date.parse(expirationTimestamp) - Date.now();
      t.ok(left < 2_400_000, 'the expiry is the one that Keystone reports for the token, not expires_in');
    });
  }
});

testWithKeystone('rejected logins', async (t, environment) => {
  const { applicationCredentials, domain, projects } = environment.tenancy;
  const { valid, expired } = applicationCredentials;
  const address = watchRequests(environment.tls);
  const requestLog = openWatchedLog(address);
  const refused = async (
    name: string,
    settings: Readonly<Record<string, string | undefined>>,
    { requests, says, status = EXIT_STATUS.refused }: { requests: string[]; says: string[]; status?: number },
  ): Promise<void> => {
    await t.test(name, async (t) => {
      const env = { OS_AUTH_URL: `${address.url}/v3`, OS_CACERT: environment.pki.ca, ...asClient(valid), ...settings };
      const secrets = [valid.secret, expired.secret, 'canary-of-a-secret'];
      await checkFailedLogin(t, { env, requestLog, requests, secrets }, { status, says });
    });
  };
  const says = ['Keystone refused OAuth 2.0 client', 'check OS_OAUTH2_CLIENT_ID and OS_OAUTH2_CLIENT_SECRET'];
  await refused(
    'a wrong secret',
    { OS_OAUTH2_CLIENT_SECRET: 'canary-of-a-secret' },
    { requests: [`${TOKEN} 401`], says },
  );
  await refused('an expired credential', asClient(expired), { requests: [`${TOKEN} 401`], says });
  await refused(
    'an unknown credential',
    { OS_OAUTH2_CLIENT_ID: 'f'.repeat(32) },
    { requests: [`${TOKEN} 404`], says: ['refused'] },
  );
  await refused('another scope', onProject(projects.other, domain), {
    requests: [`${TOKEN} 200`, `${GET} 200`],
    says: ['is for another project than the one that is set', 'this auth method has one scope'],
    status: EXIT_STATUS.protocol,
  });
  await refused(
    'an invalid endpoint',
    { OS_OAUTH2_ENDPOINT: `${address.url}/v3/nothing` },
    { requests: ['POST /v3/nothing 400'], says: ['check OS_OAUTH2_ENDPOINT'], status: EXIT_STATUS.protocol },
  );
  await refused(
    'an unencrypted endpoint on another machine',
    { OS_OAUTH2_ENDPOINT: 'http://keystone.invalid/v3/OS-OAUTH2/token' },
    { requests: [], says: ['OS_OAUTH2_ENDPOINT is http://'], status: EXIT_STATUS.config },
  );
  await refused(
    'a client without a secret',
    { OS_OAUTH2_CLIENT_ID: undefined, OS_OAUTH2_CLIENT_SECRET: undefined },
    {
      requests: [],
      says: ['set OS_OAUTH2_CLIENT_ID (--oauth2-client-id), OS_OAUTH2_CLIENT_SECRET'],
      status: EXIT_STATUS.interaction,
    },
  );
});
