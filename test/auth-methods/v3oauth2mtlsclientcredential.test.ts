// Against: a stand-in that demands the client certificate; the Keystone of the other tests is older than this method.

import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/pki.ts';
import type { Pki } from '../../scripts/pki.ts';
import { EXIT, startForTest } from '../support/login.ts';
import { send } from '../support/stand-in-keystone.ts';
import type { StandIn } from '../support/stand-in-keystone.ts';
import { recorded } from '../support/stand-in-v4.ts';
import { arrivalsAt, failOnce, homeFor, logInTwice } from '../support/twice.ts';
import type { Arrivals } from '../support/twice.ts';

t.setTimeout(120_000);

const TOKEN = 'POST /v3/OS-OAUTH2/token';
const GET = 'GET /v3/auth/tokens?nocatalog=true';
const alice = recorded('alice');

/** Takes whoever is named by the certificate, as a mapping of the certificate's name does at Keystone. */
function giveTokens(standIn: StandIn): void {
  standIn.answerAlways((request, response) => {
    const form = new URLSearchParams(String(request.body));
    const { socket } = response.req;
    const name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
    const json = { 'content-type': 'application/json' };
    if (form.get('grant_type') !== 'client_credentials' || form.get('client_id') !== alice.id || name !== alice.name) {
      const body = { error: 'invalid_client', error_description: 'Client authentication failed.' };
      send(response, { status: 401, headers: json, body });
      return;
    }
    const scope = { project: { name: 'web', domain: { name: 'acme' } } };
    const token = standIn.issueTo(alice, ['oauth2_credential'], scope).headers['x-subject-token'];
    send(response, { status: 200, headers: json, body: { access_token: token, token_type: 'Bearer', expires_in: 1 } });
  }, TOKEN);
}

interface Place {
  readonly pki: Pki;
  readonly standIn: StandIn;
  readonly arrivals: Arrivals;
  readonly env: Record<string, string>;
}

async function startPlace(t: Test): Promise<Place> {
  const pki = await makePki(join(homeFor(t).path, 'pki'));
  const standIn = await startForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
  giveTokens(standIn);
  const env = {
    OS_AUTH_TYPE: 'v3oauth2mtlsclientcredential',
    OS_AUTH_URL: `${standIn.url}/v3`,
    OS_CACERT: pki.ca,
    OS_CERT: pki.client.cert,
    OS_KEY: pki.client.key,
    OS_OAUTH2_CLIENT_ID: alice.id,
  };
  return { pki, standIn, arrivals: arrivalsAt(standIn), env };
}

void t.test('a user by certificate', async (t) => {
  const { standIn, arrivals, env } = await startPlace(t);
  const { expirationTimestamp } = await logInTwice(t, { env, arrivals, requests: [TOKEN, GET] });
  t.ok(Date.parse(expirationTimestamp) > Date.now() + 3_500_000, 'until when, Keystone says, not expires_in');
  const [first] = standIn.requests;
  t.equal(first?.body, `grant_type=client_credentials&client_id=${alice.id}`);
  t.notOk('authorization' in (first?.headers ?? {}), 'no secret but the certificate');
  const endpoint = { ...env, OS_OAUTH2_ENDPOINT: `${standIn.url}/v3/OS-OAUTH2/token?x=1` };
  await logInTwice(t, { env: endpoint, arrivals, requests: [`${TOKEN}?x=1`, GET] });
});

void t.test('what is refused', async (t) => {
  const { pki, arrivals, env } = await startPlace(t);
  await t.test('another user than the certificate names', async (t) => {
    const other = { ...env, OS_OAUTH2_CLIENT_ID: recorded('bob').id };
    const says = [
      'Keystone refused user',
      'is not whom the certificate names',
      'check OS_OAUTH2_CLIENT_ID and OS_CERT',
    ];
    await failOnce(t, { env: other, arrivals, requests: [TOKEN] }, { status: EXIT.refused, says });
  });
  await t.test('a certificate of nobody', async (t) => {
    const strange = { ...env, OS_CERT: pki.untrusted.server.cert, OS_KEY: pki.untrusted.server.key };
    const says = ['cannot be used'];
    await failOnce(t, { env: strange, arrivals, requests: [] }, { status: EXIT.unreachable, says });
  });
  await t.test('no certificate', async (t) => {
    const none = { ...env, OS_CERT: undefined, OS_KEY: undefined };
    const says = ['cert is not set', 'set OS_CERT (--cert)'];
    await failOnce(t, { env: none, arrivals, requests: [] }, { status: EXIT.interaction, says });
  });
});
