// Against: a real OpenID provider, Apache and Keystone.

import { testWithFederation } from '../support/federation.ts';
import { DISCOVERY_REQUEST } from '../support/federated-login.ts';
import { checkFederatedFailure, checkFederatedLogin, expectDemoMember } from '../support/federated-login.ts';
import { setUpFederation } from '../support/federated-login.ts';
import { EXIT_STATUS } from '../support/check-run.ts';

testWithFederation('v3oidcclientcredentials logs in a client as itself', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const { confidential, awkward } = federation.clients;
  for (const { id, secret, email } of [confidential, awkward]) {
    await t.test(`client ${id} logs in`, async (t) => {
      const env = { OS_AUTH_TYPE: 'v3oidcclientcredentials', OS_CLIENT_ID: id, OS_CLIENT_SECRET: secret };
      await checkFederatedLogin(t, fixture, { env, expected: expectDemoMember(email) });
    });
  }
});

testWithFederation('v3oidcclientcredentials reports a client that is rejected', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const { confidential } = federation.clients;
  const env = { OS_AUTH_TYPE: 'v3oidcclientcredentials', OS_CLIENT_ID: confidential.id };
  await checkFederatedFailure(t, fixture, {
    env: { ...env, OS_CLIENT_SECRET: 'canary-wrong' },
    says: ['the identity provider refused the client kubectl', 'invalid_client', 'OS_CLIENT_SECRET'],
    issuer: [DISCOVERY_REQUEST, 'POST /token 401'],
  });
  await checkFederatedFailure(t, fixture, {
    env,
    status: EXIT_STATUS.interaction,
    says: ['client secret is not set', 'OS_CLIENT_SECRET'],
    issuer: [],
  });
});
