// The webhook under load: responses per second, floods of invalid tokens, many parallel users. The machine under test
// also generates the load. The figures are required only in full size, because otherwise other tests run in parallel.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { FULL_SIZE, pickSize } from '../support/stress.ts';
import { generateLoad } from '../support/load-generator.ts';
import type { LoadResult } from '../support/load-generator.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import { recordedUsers } from '../support/stand-in-keystone/users.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { StandInUser } from '../support/stand-in-keystone/users.ts';
import { makeFakeToken, makeTestFolder, makeTestPki, makeTokenReview } from '../support/webhook-process.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';

t.setTimeout(pickSize(3_500_000, 170_000));

const pki = await makeTestPki(t);
const ca = readFileSync(pki.ca);
const [recorded] = recordedUsers;
if (recorded === undefined) throw new Error('the recorded users are missing');
const USERS: readonly StandInUser[] = Array.from({ length: 64 }, (_, number) => ({
  ...recorded,
  id: number.toString(16).padStart(32, '0'),
  name: `user-${number}`,
}));

interface WebhookFixture {
  readonly keystone: StandInKeystone;
  readonly webhook: WebhookProcess;
  readonly countValidations: () => number;
}

async function setUp(t: Test, args: readonly string[] = []): Promise<WebhookFixture> {
  const keystone = await startStandInKeystone({ users: USERS });
  t.teardown(() => keystone.close());
  const logLevel = ['--log-level', 'info'];
  const webhook = await startWebhookProcess(t, {
    keystoneUrl: `${keystone.url}/v3`,
    pki,
    args: [...logLevel, ...args],
  });
  return {
    keystone,
    webhook,
    countValidations: () => keystone.requests.filter(({ method }) => method === 'GET').length,
  };
}

async function logIn({ url }: StandInKeystone, { name, domain, password }: StandInUser): Promise<string> {
  const scope = { project: { name: 'web', domain: { name: 'acme' } } };
  const identity = { methods: ['password'], password: { user: { name, domain: { id: domain.id }, password } } };
  const response = await fetch(`${url}/v3/auth/tokens`, {
    method: 'POST',
    body: JSON.stringify({ auth: { identity, scope } }),
  });
  return response.headers.get('x-subject-token') ?? '';
}

function residentMb({ pid }: WebhookProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

const figures = ({ responseCount, perSecond, p50Ms, p99Ms }: LoadResult): string =>
  `${responseCount} responses, ${Math.round(perSecond)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`;

/** Checks a figure, which is required in full size only. */
function checkFigure(t: Test, isMet: boolean, what: string): void {
  t.comment(what);
  if (FULL_SIZE) t.ok(isMet, what);
}

/** Returns a function that is true until the time is over. */
const startTimer = (seconds: number): (() => boolean) => {
  const end = performance.now() + seconds * 1_000;
  return () => performance.now() < end;
};

const review = {
  kind: 'SubjectAccessReview',
  apiVersion: 'authorization.k8s.io/v1',
  spec: {
    user: 'alice',
    extra: { 'alpha.kubernetes.io/identity/project/name': ['demo'], 'alpha.kubernetes.io/identity/roles': ['member'] },
    resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'web-999' },
  },
};

void t.test('TokenReviews are answered from the cache', async (t) => {
  const { keystone, webhook } = await setUp(t);
  const tokens = await Promise.all(USERS.map((user) => logIn(keystone, user)));
  const bodies = tokens.map((token) => JSON.stringify(makeTokenReview(token)));
  const isRunning = startTimer(pickSize(600, 4));
  let [wrong, denials] = [0, 0];
  const measured = await generateLoad({
    port: webhook.port,
    ca,
    connections: 64,
    nextBody: (connection) => (isRunning() ? bodies[connection] : undefined),
    onResponse: (body, sent) => {
      if (!body.includes('"authenticated":true')) denials += 1;
      else if (!body.includes(`"username":"user-${bodies.indexOf(sent)}"`)) wrong += 1;
    },
  });
  t.equal(wrong, 0, 'each user gets their own identity');
  t.equal(denials, 0, 'no user is rejected');
  checkFigure(t, measured.perSecond >= 2_500 && measured.p99Ms <= 50, figures(measured));
});

void t.test('SubjectAccessReviews are decided with 1,000 policy entries', async (t) => {
  const policy = join(makeTestFolder(t), 'policy.json');
  const entries = Array.from({ length: 1_000 }, (_, number) => ({
    users: { projects: ['demo'], roles: ['member'] },
    resource_permissions: { [`web-${number}/['pods', 'services']`]: ['get', 'list'] },
  }));
  writeFileSync(policy, JSON.stringify(entries));
  const { webhook } = await setUp(t, ['--keystone-policy-file', policy]);
  const body = JSON.stringify(review);
  const isRunning = startTimer(pickSize(60, 4));
  let denied = 0;
  const measured = await generateLoad({
    port: webhook.port,
    ca,
    connections: 64,
    nextBody: () => (isRunning() ? body : undefined),
    onResponse: (response) => {
      if (!response.includes('"allowed":true,"reason":"entry 1000 ')) denied += 1;
    },
  });
  t.equal(denied, 0);
  checkFigure(t, measured.perSecond >= 2_000 && measured.p99Ms <= 50, figures(measured));
});

void t.test('500 unique invalid tokens per second do not affect users', async (t) => {
  const { keystone, webhook, countValidations } = await setUp(t);
  const tokens = await Promise.all(USERS.slice(0, 16).map((user) => logIn(keystone, user)));
  for (const token of tokens) t.match(await webhook.reviewToken(token), { authenticated: true });
  await Promise.all(Array.from({ length: 150 }, () => webhook.reviewToken(makeFakeToken(randomBytes))));
  const [before, startedAt, seconds] = [countValidations(), performance.now(), pickSize(600, 5)];
  const isRunning = startTimer(seconds);
  let [sentCount, denials, admitted, maxMb] = [0, 0, 0, 0];
  const sendInvalidTokens = async (connection: number): Promise<void> => {
    for (let number = 0; isRunning(); number += 1) {
      const { authenticated } = await webhook.reviewToken(makeFakeToken(randomBytes));
      if (authenticated === true) admitted += 1;
      sentCount += 1;
      await sleep(Math.max(0, startedAt + (number + connection / 50) * 100 - performance.now()));
    }
  };
  const reviewUsers = async (): Promise<void> => {
    for (let number = 0; isRunning(); number += 1) {
      const { body } = await webhook.postReview(makeTokenReview(tokens[number % tokens.length] ?? ''), {});
      if (!JSON.stringify(body).includes('"authenticated":true')) denials += 1;
      maxMb = Math.max(maxMb, residentMb(webhook));
      await sleep(100);
    }
  };
  await Promise.all([...Array.from({ length: 50 }, (_, connection) => sendInvalidTokens(connection)), reviewUsers()]);
  const rate = (countValidations() - before) / ((performance.now() - startedAt) / 1_000);
  t.equal(denials, 0, 'no user is rejected');
  t.equal(admitted, 0, 'no invalid token is accepted');
  const what = `${sentCount} invalid tokens in ${seconds} s: ${rate.toFixed(1)} requests/s to Keystone, RSS ${maxMb.toFixed(0)} MB`;
  t.ok(rate <= 20, what);
  checkFigure(t, maxMb <= 200, what);
});

void t.test('64 users are identified correctly among a tenth of invalid tokens', async (t) => {
  const { keystone, webhook } = await setUp(t);
  const tokens = await Promise.all(USERS.map((user) => logIn(keystone, user)));
  const bodies = tokens.map((token) => JSON.stringify(makeTokenReview(token)));
  const remaining = USERS.map(() => pickSize(10_000, 200));
  let [wrong, denials] = [0, 0];
  const measured = await generateLoad({
    port: webhook.port,
    ca,
    connections: 64,
    nextBody: (connection) => {
      const rest = (remaining[connection] ?? 0) - 1;
      if (rest < 0) return undefined;
      remaining[connection] = rest;
      return rest % 10 === 5 ? JSON.stringify(makeTokenReview(makeFakeToken(randomBytes))) : bodies[connection];
    },
    onResponse: (body, sent) => {
      const user = bodies.indexOf(sent);
      const authenticated = body.includes('"authenticated":true');
      if (user >= 0 && !authenticated) denials += 1;
      if (authenticated && !body.includes(`"username":"user-${user}"`)) wrong += 1;
    },
  });
  t.equal(wrong, 0, 'wrong identities');
  t.equal(denials, 0, 'false denials');
  t.comment(figures(measured));
});
