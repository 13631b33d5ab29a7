// Against: a stand-in that requires the client certificate, because Keystone 22 does not have this method.

import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { openStandInLog, checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import type { RequestLog } from '../support/log-in-twice.ts';
import { makeTestHome } from '../support/home.ts';

t.setTimeout(120_000);

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

interface MtlsFixture {
  readonly pki: Pki;
  readonly standIn: StandInKeystone;
  readonly requestLog: RequestLog;
  readonly env: Record<string, string>;
}

async function setUpMtls(t: Test): Promise<MtlsFixture> {
  const pki = await makePki(join(makeTestHome(t).path, 'pki'));
  const standIn = await startKeystoneForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
  giveTokens(standIn);
  const env = {
    OS_AUTH_TYPE: 'v3oauth2mtlsclientcredential',
    OS_AUTH_URL: `${standIn.url}/v3`,
    OS_CACERT: pki.ca,
    OS_CERT: pki.client.cert,
    OS_KEY: pki.client.key,
    OS_OAUTH2_CLIENT_ID: alice.id,
  };
  return { pki, standIn, requestLog: openStandInLog(standIn), env };
}

void t.test('a user with a certificate', async (t) => {
  const { standIn, requestLog, env } = await setUpMtls(t);
  const { expirationTimestamp } = await logInTwice(t, { env, requestLog, requests: [TOKEN, GET] });
  t.ok(
    Date.parse(expirationTimestamp) > Date.now() + 3_500_000,
    'the expiry is the one that Keystone reports, not expires_in',
  );
  const [first] = standIn.requests;
  t.equal(first?.body, `grant_type=client_credentials&client_id=${alice.id}`);
  t.notOk('authorization' in (first?.headers ?? {}), 'the certificate is the only secret');
  const endpoint = { ...env, OS_OAUTH2_ENDPOINT: `${standIn.url}/v3/OS-OAUTH2/token?x=1` };
  await logInTwice(t, { env: endpoint, requestLog, requests: [`${TOKEN}?x=1`, GET] });
});

void t.test('rejected logins', async (t) => {
  const { pki, requestLog, env } = await setUpMtls(t);
  await t.test('a user that the certificate does not name', async (t) => {
    const other = { ...env, OS_OAUTH2_CLIENT_ID: findRecordedUser('bob').id };
    const says = [
      'Keystone refused user',
      'is not the one that the certificate names',
      'check OS_OAUTH2_CLIENT_ID and OS_CERT',
    ];
    await checkFailedLogin(t, { env: other, requestLog, requests: [TOKEN] }, { status: EXIT_STATUS.refused, says });
  });
  await t.test('a certificate without a user', async (t) => {
    const strange = { ...env, OS_CERT: pki.untrusted.server.cert, OS_KEY: pki.untrusted.server.key };
    const says = ['cannot be used'];
    await checkFailedLogin(t, { env: strange, requestLog, requests: [] }, { status: EXIT_STATUS.unreachable, says });
  });
  await t.test('no certificate', async (t) => {
    const none = { ...env, OS_CERT: undefined, OS_KEY: undefined };
    const says = ['cert is not set', 'set OS_CERT (--cert)'];
    await checkFailedLogin(t, { env: none, requestLog, requests: [] }, { status: EXIT_STATUS.interaction, says });
  });
});
