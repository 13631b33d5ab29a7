// The answer to a SubjectAccessReview is remembered by the text of the review, until the policy changes.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { RememberedAnswers } from '../../src/webhook/review/remembered-answers.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview } from '../support/webhook-client.ts';
import { startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';

const ANSWER = { result: 'allowed', body: '{}' };

void t.test('an answer is found by the whole text and under its own policy only', (t) => {
  let policy = {};
  const answers = new RememberedAnswers(() => policy);
  answers.store('a review', ANSWER);
  t.equal(answers.find('a review'), ANSWER);
  t.equal(answers.find('a reviews'), undefined);
  const first = policy;
  policy = {};
  t.equal(answers.find('a review'), undefined, 'another policy');
  policy = first;
  t.equal(answers.find('a review'), undefined, 'it is forgotten for good');
  policy = {};
  answers.store('a review', ANSWER);
  t.equal(answers.find('a review'), ANSWER, 'the first call under a policy can be a store');
  t.end();
});

void t.test('the memory is bounded by the characters of its texts, and the oldest go first', (t) => {
  const policy = {};
  const answers = new RememberedAnswers(() => policy);
  const text = (number: number, length = 4_000): string => String(number).padEnd(length);
  answers.store(text(-1, 4_001), ANSWER);
  t.equal(answers.find(text(-1, 4_001)), undefined, 'a long text is not remembered');
  for (let number = 0; number < 260; number += 1) {
    for (let times = 0; times < 3; times += 1) answers.store(text(number), ANSWER);
  }
  const known = Array.from({ length: 260 }, (_, number) => answers.find(text(number)) !== undefined);
  t.equal(known.lastIndexOf(false), 9, 'the last 250 are known');
  t.end();
});

void t.test('a review that is asked again gets the answer of the policy in force, in its own version', async (t) => {
  const keystone = await startTestKeystone(t);
  const policy = join(makeTestFolder(t), 'policy.json');
  const writePolicy = (verbs: readonly string[]): void => {
    writeFileSync(policy, JSON.stringify([{ resource_permissions: { '*/*': verbs } }]));
  };
  writePolicy(['list']);
  const webhook = await startWebhook(t, { keystone, args: ['--keystone-policy-file', policy] });
  const ask = async (version: 'v1' | 'v1beta1'): Promise<boolean> => {
    const review = { ...makeAccessReview(), apiVersion: `authorization.k8s.io/${version}` };
    const { body } = await webhook.postReview(review);
    const { apiVersion, status } = body as { apiVersion: string; status: { allowed: boolean } };
    t.equal(apiVersion, `authorization.k8s.io/${version}`);
    return status.allowed;
  };
  const askTwice = async (expected: boolean): Promise<void> => {
    for (const version of ['v1', 'v1beta1', 'v1', 'v1beta1'] as const) t.equal(await ask(version), expected);
  };
  await askTwice(false);
  for (const [verbs, expected] of [
    [['get'], true],
    [['list'], false],
  ] as const) {
    writePolicy(verbs);
    webhook.signal('SIGHUP');
    await waitUntil('the policy is in force', async () => (await ask('v1')) === expected);
    await askTwice(expected);
  }
});
