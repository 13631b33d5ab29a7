// Two replicas behind a load balancer are restarted in turn while clients send reviews over connections that they keep.

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { startLoadBalancer } from '../support/load-balancer.ts';
import { waitUntil } from '../support/wait-until.ts';
import { connectToWebhook, makeAccessReview } from '../support/webhook-client.ts';
import { shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';

const CLIENTS = 16;
const GRACE_SECONDS = 7;

/** The pause between the reviews of one client: without one, they take all processors while a replica starts. */
const PAUSE_MS = 10;

void t.test('two replicas that are restarted in turn answer every review', async (t) => {
  const pki = await shareTestPki();
  const args = ['--shutdown-grace', String(GRACE_SECONDS)];
  const replicas = [await startWebhook(t, { args }), await startWebhook(t, { args })];
  const balancer = await startLoadBalancer(
    t,
    replicas.map(({ port }) => port),
  );
  const answers: unknown[] = [];
  let isOver = false;
  const sendReviews = async (): Promise<void> => {
    // A connection of its own that it keeps.
    const client = connectToWebhook(t, balancer.port, pki);
    while (!isOver) {
      const answer = await client.postReview(makeAccessReview()).then(
        ({ status }) => status,
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      );
      answers.push(answer);
      await sleep(PAUSE_MS);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, sendReviews));
  const waitForReviews = (count: number): Promise<true> => {
    const goal = answers.length + count;
    return waitUntil(`${count} reviews`, () => answers.length >= goal);
  };

  for (const replica of replicas) {
    const { port, clock, ended } = replica;
    await waitForReviews(10 * CLIENTS);
    replica.signal('SIGTERM');
    await waitUntil('the load balancer notices', () => !balancer.isReady(port));
    await waitForReviews(10 * CLIENTS);
    await clock.advance(GRACE_SECONDS * 1_000);
    t.equal(await ended, 0);
    await startWebhook(t, { args: [...args, '--listen', `127.0.0.1:${port}`] });
    await waitUntil('the load balancer notices', () => balancer.isReady(port));
  }
  await waitForReviews(10 * CLIENTS);
  isOver = true;
  await clients;
  t.strictSame([...new Set(answers)], [200], `${answers.length} reviews`);
});
