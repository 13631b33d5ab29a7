// Two replicas behind a load balancer are restarted in turn while clients send reviews over connections that they keep.

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { startLoadBalancer } from '../support/load-balancer.ts';
import { waitUntil } from '../support/wait-until.ts';
import { connectToWebhook, makeAccessReview } from '../support/webhook-client.ts';
import { shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const CLIENTS = 16;
const GRACE_SECONDS = 7;

/** The pause between the reviews of one client: without one, they take all processors while a replica starts. */
const PAUSE_MS = 10;

void t.test('two replicas that are restarted in turn answer every review', async (t) => {
  const pki = await shareTestPki();
  const startReplica = async (port: number): Promise<TestWebhook> =>
    startWebhook(t, { args: ['--shutdown-grace', String(GRACE_SECONDS), '--listen', `127.0.0.1:${port}`] });
  const replicas = [await startReplica(await findFreePort()), await startReplica(await findFreePort())];
  const balancer = await startLoadBalancer(
    t,
    replicas.map(({ port }) => port),
  );
  /** The answers that each client has got so far. */
  const answers: readonly unknown[][] = Array.from({ length: CLIENTS }, () => []);
  let isOver = false;
  t.teardown(() => (isOver = true));
  const sendReviews = async (own: unknown[]): Promise<void> => {
    // A connection of its own that it keeps.
    const client = connectToWebhook(t, balancer.port, pki);
    while (!isOver) {
      const answer = await client.postReview(makeAccessReview()).then(
        ({ status }) => status,
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      );
      own.push(answer);
      await sleep(PAUSE_MS);
    }
  };
  const clients = Promise.all(answers.map(sendReviews));
  /** Waits until each client has got as many answers: a client that was slow may still have an old connection. */
  const waitForReviews = async (count: number): Promise<void> => {
    const goals = answers.map(({ length }) => length + count);
    await waitUntil(`${count} reviews of each client`, () =>
      answers.every(({ length }, client) => length >= (goals[client] ?? 0)),
    );
  };

  for (const replica of replicas) {
    const { port, clock, ended } = replica;
    await waitForReviews(10);
    replica.signal('SIGTERM');
    await waitUntil('the load balancer notices', () => !balancer.isReady(port));
    await waitForReviews(10);
    await clock.advance(GRACE_SECONDS * 1_000);
    t.equal(await ended, 0);
    await startReplica(port);
    await waitUntil('the load balancer notices', () => balancer.isReady(port));
  }
  await waitForReviews(10);
  isOver = true;
  await clients;
  t.strictSame([...new Set(answers.flat())], [200], `${answers.flat().length} reviews`);
});
