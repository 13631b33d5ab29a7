// The plugin and the webhook at a real ORY Hydra, which gives programs access tokens.

import type { Test } from 'tap';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import type { EnvVars } from '../support/home.ts';
import { ROBOT, testWithHydra } from '../support/hydra.ts';
import type { TestHydra } from '../support/hydra.ts';
import { readClaims, setUpProviderUser } from '../support/provider-user.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const AS_ROBOT: EnvVars = {
  OS_AUTH_TYPE: 'v3oidcclientcredentials',
  OS_CLIENT_ID: ROBOT.id,
  OS_CLIENT_SECRET: ROBOT.secret,
  OS_OPENID_SCOPE: 'clusters:read',
};

/** What `ttl.access_token` of the configuration says, in ms. */
const LIFETIME_MS = 20 * 60_000;

function startHydraWebhook(t: Test, { issuer, ca }: TestHydra): Promise<TestWebhook> {
  const issuerArgs = ['--oidc-issuer-url', issuer, '--oidc-client-id', 'kubernetes', '--oidc-ca-file', ca];
  return startWebhook(t, { args: [...issuerArgs, '--authenticators', 'oidc'] });
}

testWithHydra('Hydra gives a program a JWT with the scopes that it asks for', 'jwt', async (t, hydra) => {
  const robot = setUpProviderUser(t, hydra, { env: AS_ROBOT });
  const first = await robot.run();
  const { token, expirationTimestamp } = checkSuccess(t, first);
  const claims = readClaims(token);
  t.match(claims, { iss: hydra.issuer, client_id: ROBOT.id, scp: ['clusters:read'] });
  t.equal(Date.parse(expirationTimestamp), Number(claims['exp']) * 1000, 'the expiry is that of the token');
  t.strictSame(await robot.run(), first, 'the second run takes the token from the cache');
  const both = checkSuccess(t, await robot.with({ OS_OPENID_SCOPE: ROBOT.scope }).run()).token;
  t.match(readClaims(both), { scp: ['clusters:read', 'clusters:write'] });

  const webhook = await startHydraWebhook(t, hydra);
  t.strictSame(await webhook.reviewToken(token), { authenticated: false }, 'the token is for no cluster');
});

testWithHydra('an access token of Hydra that is opaque is used as long as Hydra says', 'opaque', async (t, hydra) => {
  let aheadMs = 0;
  const robot = setUpProviderUser(t, hydra, { env: AS_ROBOT, host: { now: () => Date.now() + aheadMs } });
  const startedAt = Date.now();
  const first = await robot.run();
  const endedAt = Date.now();
  const { token, expirationTimestamp } = checkSuccess(t, first);
  t.match(token, /^ory_at_[\w.-]+$/);
  const expiresAt = Date.parse(expirationTimestamp);
  t.ok(
    expiresAt >= startedAt + LIFETIME_MS - 2000 && expiresAt <= endedAt + LIFETIME_MS,
    'the lifetime is that of the response',
  );
  t.strictSame(await robot.run(), first, 'the second run takes the token from the cache');
  aheadMs = LIFETIME_MS;
  t.not(checkSuccess(t, await robot.run()).token, token, 'after that, the plugin logs in again');

  const webhook = await startHydraWebhook(t, hydra);
  t.strictSame(await webhook.reviewToken(token), { authenticated: false });
});

testWithHydra('an opaque access token that the user has is used for five minutes', 'opaque', async (t, hydra) => {
  const { token } = checkSuccess(t, await setUpProviderUser(t, hydra, { env: AS_ROBOT }).run());
  const env = { OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_ACCESS_TOKEN: token };
  const startedAt = Date.now();
  const credential = checkSuccess(t, await setUpProviderUser(t, hydra, { env }).run());
  t.equal(credential.token, token);
  const livesMs = Date.parse(credential.expirationTimestamp) - startedAt;
  t.ok(livesMs > 298_000 && livesMs <= 300_000 + Date.now() - startedAt, `${livesMs} ms`);
});

testWithHydra('Hydra refuses a client, and the plugin says why', 'jwt', async (t, hydra) => {
  const refused = async (env: EnvVars, ...says: readonly (string | RegExp)[]): Promise<void> =>
    checkFailure(t, await setUpProviderUser(t, hydra, { env: { ...AS_ROBOT, ...env } }).run(), EXIT_STATUS.refused, {
      says,
    });
  await refused({ OS_CLIENT_SECRET: 'canary-wrong' }, 'or its secret is wrong', 'OS_CLIENT_ID and OS_CLIENT_SECRET');
  await refused({ OS_CLIENT_ID: 'nobody' }, 'it does not know this client');
  await refused({ OS_OPENID_SCOPE: 'clusters:delete' }, 'it does not grant these scopes', 'check OS_OPENID_SCOPE');
  await refused({ OS_OPENID_SCOPE: undefined }, 'it does not grant these scopes', 'check OS_OPENID_SCOPE');
  const poster = { client_id: 'poster', client_secret: 'canary-of-the-poster' };
  await hydra.createClient({
    ...{ ...poster, scope: ROBOT.scope, grant_types: ['client_credentials'] },
    token_endpoint_auth_method: 'client_secret_post',
  });
  await refused(
    { OS_CLIENT_ID: poster.client_id, OS_CLIENT_SECRET: poster.client_secret },
    'it expects the secret of this client in another place than a header',
    'client_secret_basic',
  );
  await hydra.createClient({
    ...{ client_id: 'browser', client_secret: 'canary-of-the-browser', redirect_uris: ['http://127.0.0.1/callback'] },
    ...{ grant_types: ['authorization_code'], scope: ROBOT.scope },
  });
  await refused(
    { OS_CLIENT_ID: 'browser', OS_CLIENT_SECRET: 'canary-of-the-browser' },
    'this client is not allowed to use this auth method',
  );
});
