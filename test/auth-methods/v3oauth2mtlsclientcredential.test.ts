// Against: a stand-in that requires the client certificate, because Keystone 22 does not have this method.

import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import { makeTestHome } from '../support/home.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';

const TOKEN = 'POST /v3/OS-OAUTH2/token';
const GET = 'GET /v3/auth/tokens?nocatalog=true';
const alice = findRecordedUser('alice');

/** Logs in the user that the certificate names, like a mapping of Keystone. */
function giveTokens(standIn: StandInKeystone): void {
  standIn.answerAlways((request, response) => {
    const form = new URLSearchParams(String(request.body));
    const { socket } = response.req;
    const name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
    const json = { 'content-type': 'application/json' };
    if (form.get('grant_type') !== 'client_credentials' || form.get('client_id') !== alice.id || name !== alice.name) {
      const body = { error: 'invalid_client', error_description: 'Client authentication failed.' };
      sendResponse(response, { status: 401, headers: json, body });
      return;
    }
    const scope = { project: { name: 'web', domain: { name: 'acme' } } };
    const token = standIn.issueToken(alice, ['oauth2_credential'], scope).headers['x-subject-token'];
    sendResponse(response, {
      status: 200,
      headers: json,
      body: { access_token: token, token_type: 'Bearer', expires_in: 1 },
    });
  }, TOKEN);
}

interface Client {
  readonly pki: Pki;
  readonly keystone: StandInKeystone;
  /** Alice with her certificate. */
  readonly user: Fixture;
}

async function setUpClient(t: Test): Promise<Client> {
  const pki = await makePki(join(makeTestHome(t).path, 'pki'));
  const keystone = await startKeystoneForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
  giveTokens(keystone);
  const settings = {
    OS_AUTH_TYPE: 'v3oauth2mtlsclientcredential',
    OS_CACERT: pki.ca,
    OS_CERT: pki.client.cert,
    OS_KEY: pki.client.key,
    OS_OAUTH2_CLIENT_ID: alice.id,
  };
  return { pki, keystone, user: setUp(t, { keystone, settings }) };
}

void t.test('a user with a certificate logs in', async (t) => {
  const { keystone, user } = await setUpClient(t);
  const { expirationTimestamp } = await logInTwice(t, user, { requests: [TOKEN, GET] });
  t.ok(
    Date.parse(expirationTimestamp) > Date.now() + 3_000_000,
    'the expiry is the one that Keystone reports, not expires_in',
  );
  const [first] = keystone.requests;
  t.equal(first?.body, `grant_type=client_credentials&client_id=${alice.id}`);
  t.notOk('authorization' in (first?.headers ?? {}), 'the certificate is the only secret');
  const endpoint = user.onNewMachine().with({ OS_OAUTH2_ENDPOINT: `${keystone.url}/v3/OS-OAUTH2/token?x=1` });
  await logInTwice(t, endpoint, { requests: [`${TOKEN}?x=1`, GET] });
});

void t.test('a user without the right certificate is refused', async (t) => {
  const { pki, user } = await setUpClient(t);
  await t.test('the certificate names another user', async (t) => {
    await checkFailedLogin(t, user.onNewMachine().with({ OS_OAUTH2_CLIENT_ID: findRecordedUser('bob').id }), {
      requests: [TOKEN],
      status: EXIT_STATUS.refused,
      says: [
        'Keystone refused user',
        'is not the one that the certificate names',
        'check OS_OAUTH2_CLIENT_ID and OS_CERT',
      ],
    });
  });
  await t.test('the certificate names no user', async (t) => {
    const { cert: OS_CERT, key: OS_KEY } = pki.untrusted.server;
    await checkFailedLogin(t, user.onNewMachine().with({ OS_CERT, OS_KEY }), {
      requests: [],
      status: EXIT_STATUS.unreachable,
      says: ['cannot be used'],
    });
  });
  await t.test('there is no certificate', async (t) => {
    await checkFailedLogin(t, user.onNewMachine().with({ OS_CERT: undefined, OS_KEY: undefined }), {
      requests: [],
      status: EXIT_STATUS.interaction,
      says: ['cert is not set', 'set OS_CERT (--cert)'],
    });
  });
});
