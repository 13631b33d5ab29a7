// Against: a real Keystone.

import { randomUUID } from 'node:crypto';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import { watchRequests } from '../support/request-log.ts';
import { createApplicationCredential, createShortLivedCredential, logIn, validateToken } from '../support/tenancy.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';

const TOKEN = 'POST /v3/OS-OAUTH2/token';
const GET = 'GET /v3/auth/tokens?nocatalog=true';

function asClient({ id, secret }: { id: string; secret: string }): Record<string, string> {
  return { OS_AUTH_TYPE: 'v3oauth2clientcredential', OS_OAUTH2_CLIENT_ID: id, OS_OAUTH2_CLIENT_SECRET: secret };
}

testWithKeystone('the access token is a Keystone token of the application credential', async (t, environment) => {
  const { http, pki, tenancy } = environment;
  const tls = getTlsKeystone();
  const { valid } = tenancy.applicationCredentials;
  const shortLived = await createShortLivedCredential(http, tenancy);
  const { alice } = tenancy.users;
  const chosen = await createApplicationCredential(http, {
    token: await logIn(http, alice, { project: { id: tenancy.projects.demo.id } }),
    userId: alice.id,
    name: `with a secret that a user chose ${randomUUID()}`,
    secret: 'p@ss+w%20rd: "ü"/~',
  });
  const worksAt = async (
    name: string,
    server: KeystoneAddress,
    credential: { id: string; secret: string },
    makeSettings: (url: string) => EnvVars = () => ({}),
  ): Promise<void> => {
    await t.test(name, async (t) => {
      const keystone = watchRequests(server);
      const client = { OS_CACERT: pki.ca, ...asClient(credential), ...makeSettings(keystone.url) };
      const { token, expirationTimestamp } = await logInTwice(t, setUp(t, { keystone, settings: client }), {
        requests: [`${TOKEN} 200`, `${GET} 200`],
        secrets: [credential.secret],
      });
      const facts = await validateToken(http, token);
      t.match(facts, { user: { name: 'alice' }, project: { name: 'demo' }, methods: ['application_credential'] });
      t.equal(Date.parse(expirationTimestamp), Math.floor(Date.parse(facts?.expiresAt ?? '') / 1000) * 1000);
      if (credential !== shortLived) return;
      const left = Date.parse(expirationTimestamp) - Date.now();
      t.ok(left < 2_400_000, 'the expiry is the one that Keystone reports for the token, not expires_in');
    });
  };
  await worksAt('the client logs in with TLS', tls, valid);
  await worksAt('the client logs in without TLS', http, valid);
  await worksAt('the endpoint is set', tls, valid, (url) => ({ OS_OAUTH2_ENDPOINT: `${url}/v3/OS-OAUTH2/token` }));
  await worksAt('the scope of the credential is set', tls, valid, () =>
    onProject(tenancy.projects.demo, tenancy.domain),
  );
  await worksAt('the secret has special characters', tls, chosen);
  await worksAt('the credential expires before its token', tls, shortLived);
});

testWithKeystone('a client that cannot log in gets one message', async (t, environment) => {
  const { tenancy, pki } = environment;
  const { valid, expired } = tenancy.applicationCredentials;
  const keystone = watchRequests(getTlsKeystone());
  const client = setUp(t, { keystone, settings: { OS_CACERT: pki.ca, ...asClient(valid) } });
  const fails = async (
    name: string,
    settings: EnvVars,
    { requests, says, status = EXIT_STATUS.refused }: { requests: string[]; says: string[]; status?: number },
  ): Promise<void> => {
    await t.test(name, async (t) => {
      const secrets = [valid.secret, expired.secret, 'canary-of-a-secret'];
      await checkFailedLogin(t, client.onNewMachine().with(settings), { requests, secrets, status, says });
    });
  };
  const says = ['Keystone refused OAuth 2.0 client', 'check OS_OAUTH2_CLIENT_ID and OS_OAUTH2_CLIENT_SECRET'];
  await fails(
    'the secret is wrong',
    { OS_OAUTH2_CLIENT_SECRET: 'canary-of-a-secret' },
    { requests: [`${TOKEN} 401`], says },
  );
  await fails('the credential has expired', asClient(expired), { requests: [`${TOKEN} 401`], says });
  await fails(
    'the credential does not exist',
    { OS_OAUTH2_CLIENT_ID: 'f'.repeat(32) },
    { requests: [`${TOKEN} 404`], says: ['refused'] },
  );
  await fails('another scope is set', onProject(tenancy.projects.other, tenancy.domain), {
    requests: [`${TOKEN} 200`, `${GET} 200`],
    says: ['is for another project than the one that is set', 'this auth method has one scope'],
    status: EXIT_STATUS.protocol,
  });
  await fails(
    'the endpoint is not one of Keystone',
    { OS_OAUTH2_ENDPOINT: `${client.url}/v3/nothing` },
    { requests: ['POST /v3/nothing 400'], says: ['check OS_OAUTH2_ENDPOINT'], status: EXIT_STATUS.protocol },
  );
  await fails(
    'the endpoint is unencrypted and on another machine',
    { OS_OAUTH2_ENDPOINT: 'http://keystone.invalid/v3/OS-OAUTH2/token' },
    { requests: [], says: ['OS_OAUTH2_ENDPOINT is http://'], status: EXIT_STATUS.config },
  );
  await fails(
    'the client has no ID and no secret',
    { OS_OAUTH2_CLIENT_ID: undefined, OS_OAUTH2_CLIENT_SECRET: undefined },
    {
      requests: [],
      says: ['set OS_OAUTH2_CLIENT_ID (--oauth2-client-id), OS_OAUTH2_CLIENT_SECRET'],
      status: EXIT_STATUS.interaction,
    },
  );
});
