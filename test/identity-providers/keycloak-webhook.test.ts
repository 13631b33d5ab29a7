// The webhook's --oidc-… settings at a real Keycloak.

import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { Test } from 'tap';
import { damageEnd } from '../support/damaged-token.ts';
import { ALICE, testWithKeycloak } from '../support/keycloak.ts';
import type { Realm } from '../support/keycloak.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { listenOnLoopback } from '../../scripts/lib/listen-on-loopback.ts';

/** An address of Keycloak that can be down. Its issuers have this address in their names. */
interface Gateway {
  readonly url: string;
  close(): Promise<void>;
}

/** Passes connections on to Keycloak. */
async function startGateway(t: Test, { keycloak }: Realm): Promise<Gateway> {
  const { hostname, port, pathname } = new URL(keycloak.url);
  const sockets = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const upstream = track(connect(Number(port), hostname));
    track(client).pipe(upstream).pipe(client);
  });
  // No other test gets the port once it is closed.
  const ownPort = await listenOnLoopback(server, await findFreePort());
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  t.teardown(close);
  return { url: `https://127.0.0.1:${ownPort}${pathname}`, close };
}

/** The same realm at another address. */
function seenThrough(realm: Realm, { url }: Gateway): Pick<Realm, 'issuer'> {
  return { issuer: `${url}/realms/${realm.name}` };
}

const SETTINGS = [
  ...['--oidc-client-id', 'kubernetes', '--oidc-username-claim', 'preferred_username'],
  ...['--oidc-username-prefix', 'acme:', '--oidc-groups-prefix', 'acme:', '--authenticators', 'oidc'],
];

function startRealmWebhook(t: Test, realm: Realm, issuer: string, groupsClaim: string): Promise<TestWebhook> {
  return startWebhook(t, {
    pki: realm.keycloak.pki,
    args: [
      ...['--oidc-issuer-url', issuer, '--oidc-ca-file', realm.ca, '--oidc-groups-claim', groupsClaim],
      ...SETTINGS,
    ],
  });
}

/** Requests an ID token of alice at this issuer. */
async function requestIdToken(realm: Realm): Promise<string> {
  const tokens = await realm.requestTokens({
    ...{ grant_type: 'password', client_id: 'kubectl', scope: 'openid' },
    ...{ username: ALICE.name, password: ALICE.password },
  });
  return String(tokens['id_token']);
}

testWithKeycloak('the webhook accepts tokens of Keycloak, with groups or roles as groups', async (t, realm) => {
  const token = await requestIdToken(realm);
  const byGroup = await startRealmWebhook(t, realm, realm.issuer, 'groups');
  t.strictSame(await byGroup.reviewToken(token), {
    authenticated: true,
    user: { username: 'acme:alice', uid: '', groups: ['acme:ops'], extra: {} },
  });
  const byRole = await startRealmWebhook(t, realm, realm.issuer, 'roles');
  const status = await byRole.reviewToken(token);
  t.match(status, { authenticated: true, user: { username: 'acme:alice' } });
  t.ok(JSON.stringify(status).includes('acme:developer'), 'the roles of the realm are groups');
  t.strictSame(await byGroup.reviewToken(damageEnd(token)), { authenticated: false });
});

testWithKeycloak('the webhook follows Keycloak when it rotates its keys', async (t, realm) => {
  const webhook = await startRealmWebhook(t, realm, realm.issuer, 'groups');
  const first = await requestIdToken(realm);
  t.match(await webhook.reviewToken(first), { authenticated: true });
  const { id } = JSON.parse((await realm.admin('')).body) as { id: string };
  await realm.admin('/components', {
    json: {
      name: 'rsa-2',
      parentId: id,
      providerId: 'rsa-generated',
      providerType: 'org.keycloak.keys.KeyProvider',
      config: { priority: ['200'], algorithm: ['RS256'], active: ['true'], enabled: ['true'] },
    },
  });
  const second = await requestIdToken(realm);
  // The webhook reads the keys again, but not within ten seconds.
  await webhook.clock.advance(11_000);
  await waitUntil('the new key', async () => {
    const status = await webhook.reviewToken(second);
    return status['authenticated'] === true;
  });
  t.match(await webhook.reviewToken(first), { authenticated: true }, 'the old key is still published');
});

testWithKeycloak(
  'tokens of Keycloak are accepted while it is down, and not after its realm is removed',
  async (t, realm) => {
    const gateway = await startGateway(t, realm);
    const { issuer } = seenThrough(realm, gateway);
    const webhook = await startRealmWebhook(t, realm, issuer, 'groups');
    const form = {
      ...{ grant_type: 'password', client_id: 'kubectl', scope: 'openid' },
      ...{ username: ALICE.name, password: ALICE.password },
    };
    const token = await realm.requestTokens(form, issuer).then((tokens) => String(tokens['id_token']));
    t.match(await webhook.reviewToken(token), { authenticated: true });
    await gateway.close();
    t.match(await webhook.reviewToken(token), { authenticated: true }, 'the known keys count for an hour');

    await t.test('a realm that was removed', async (t) => {
      const late = await startRealmWebhook(t, realm, realm.issuer, 'groups');
      const other = await requestIdToken(realm);
      t.match(await late.reviewToken(other), { authenticated: true });
      await realm.remove();
      const fresh = await startRealmWebhook(t, realm, realm.issuer, 'groups');
      const status = await fresh.reviewToken(other);
      t.not(status['authenticated'], true, 'a webhook that starts later has no keys');
      t.match(JSON.stringify(status), 'the identity provider answered 404 for its discovery document');
    });
  },
);
