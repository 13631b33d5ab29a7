// Clients that attack the built program: malformed requests, and connections that say nothing. `npm run bench:webhook`
// measures how fast others are served meanwhile. hostile-http2-clients.test.ts has the floods of HTTP/2.

import { connect } from 'node:net';
import t from 'tap';
import { makeRandom } from '../../scripts/jitter/delays.ts';
import { pickSize } from '../support/stress.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview } from '../support/webhook-client.ts';
import { connectOverHttp2 } from '../support/webhook-over-http2.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import { shareTestPki } from '../support/webhook-settings.ts';

const pki = await shareTestPki();

const BODY_COUNT = pickSize(20_000, 2_000);
const CONNECTIONS = 500;

const REVIEW = makeAccessReview({ roles: ['member'] });

for (const protocol of ['HTTP/1.1', 'HTTP/2']) {
  void t.test(
    `${BODY_COUNT} malformed bodies over ${protocol} are refused or not allowed, and the program runs on`,
    async (t) => {
      const webhook = await startWebhookProcess(t, { args: ['--log-level', 'info'] });
      const client = protocol === 'HTTP/2' ? await connectOverHttp2(t, webhook.port, pki) : webhook;
      const validBody = JSON.stringify(REVIEW);
      const problems: string[] = [];
      // The same in every run.
      const random = makeRandom(protocol);
      const sendMalformed = async (): Promise<void> => {
        const bytes = Buffer.from(validBody);
        for (let change = 0; change < 5; change += 1)
          bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        const body = bytes.toString('latin1').slice(0, Math.floor(random() * bytes.length * 1.2));
        const response = await client.postReview(body);
        const allowed = (response.body as { status?: { allowed?: boolean } }).status?.allowed;
        if (allowed === true || (response.status !== 400 && response.status !== 200))
          problems.push(`${response.status}: ${body}`);
      };
      for (let sent = 0; sent < BODY_COUNT; sent += 40) await Promise.all(Array.from({ length: 40 }, sendMalformed));
      t.strictSame(problems, []);
      t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
      t.equal(await webhook.stop(), 0);
    },
  );
}

void t.test(`${CONNECTIONS} connections without a handshake do not stop other requests, and are closed`, async (t) => {
  const webhook = await startWebhookProcess(t, { args: ['--log-level', 'info'] });
  let [connectedCount, closedCount] = [0, 0];
  const sockets = Array.from({ length: CONNECTIONS }, () =>
    connect(webhook.port, '127.0.0.1', () => (connectedCount += 1))
      .on('error', () => undefined)
      .once('close', () => (closedCount += 1)),
  );
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await waitUntil('they are connected', () => connectedCount === CONNECTIONS);
  for (let round = 0; round < 300; round += 1) {
    // Some need a handshake too.
    const { status } = await webhook.postReview(REVIEW, round % 10 === 0 ? {} : undefined);
    if (status !== 200) t.fail(`request ${round} was answered with ${status}`);
  }
  await waitUntil('they are disconnected', () => closedCount === CONNECTIONS);
  t.equal(connectedCount, CONNECTIONS);
  t.match(await webhook.sendRequest({ path: '/healthz', tls: {} }), { status: 200 });
});
