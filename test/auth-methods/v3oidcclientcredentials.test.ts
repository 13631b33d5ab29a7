// Against: a real OpenID provider, Apache and Keystone.

import t from 'tap';
import { testWithFederation } from '../support/federation.ts';
import { checkFederated, checkFederatedRefusal, DISCOVERY, onDemo, openLane } from '../support/federated-login.ts';
import { EXIT } from '../support/login.ts';

t.setTimeout(170_000);

testWithFederation('a client as itself', async (t, federation, world) => {
  const lane = openLane(federation, world);
  const { confidential, awkward } = federation.clients;
  for (const { id, secret, email } of [confidential, awkward]) {
    await t.test(id, async (t) => {
      const env = { OS_AUTH_TYPE: 'v3oidcclientcredentials', OS_CLIENT_ID: id, OS_CLIENT_SECRET: secret };
      await checkFederated(t, lane, { env, wanted: onDemo(email) });
    });
  }
});

testWithFederation('a client is refused', async (t, federation, world) => {
  const lane = openLane(federation, world);
  const { confidential } = federation.clients;
  const env = { OS_AUTH_TYPE: 'v3oidcclientcredentials', OS_CLIENT_ID: confidential.id };
  await checkFederatedRefusal(t, lane, {
    env: { ...env, OS_CLIENT_SECRET: 'canary-wrong' },
    says: ['the identity provider refused the client kubectl', 'invalid_client', 'OS_CLIENT_SECRET'],
    issuer: [DISCOVERY, 'POST /token 401'],
  });
  await checkFederatedRefusal(t, lane, {
    env,
    status: EXIT.interaction,
    says: ['client secret is not set', 'OS_CLIENT_SECRET'],
    issuer: [],
  });
});
