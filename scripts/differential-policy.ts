/**
 * `npm run differential:policy`: compares what random policies allow here and in the Go k8s-keystone-auth. A difference
 * is explained if `policy lint` reports it as a fault; one that grants more must be one of two that the documents list.
 *
 * usage: npm run differential:policy -- --go-webhook PATH [--policies 200] [--questions 20] [--seed 1]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findAllowingEntry, parsePolicy } from '../src/webhook/authz/policy/policy.ts';
import type { Policy } from '../src/webhook/authz/policy/policy.ts';
import { InvalidPolicyError } from '../src/webhook/authz/policy/policy-error.ts';
import { readSubject } from '../src/webhook/authz/policy/subject.ts';
import { parseReview } from '../src/webhook/review/review.ts';
import { startStandInKeystone } from '../test/support/stand-in-keystone.ts';
import { askGoWebhook } from './differential-policy/go-webhook.ts';
import type { GoAnswer } from './differential-policy/go-webhook.ts';
import { makePolicyText, makeQuestion, makeRandom } from './differential-policy/random-policy.ts';
import type { Question } from './differential-policy/random-policy.ts';
import { makePki } from './lib/pki.ts';

/** Faults for which an entry grants more than in the Go program. */
const WIDER = /names a subresource|also matches the ID/;

const figures = {
  policies: 0,
  refusedHere: 0,
  refusedByGo: 0,
  decisions: 0,
  allowedByGo: 0,
  same: 0,
  narrower: 0,
  wider: 0,
  panics: 0,
};

/** @throws Error for a mistake in the arguments */
function readArguments(): { program: string; policies: number; questions: number; seed: number } {
  const { values } = parseArgs({
    options: {
      'go-webhook': { type: 'string' },
      policies: { type: 'string', default: '200' },
      questions: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
    },
  });
  const program = values['go-webhook'];
  if (program === undefined) throw new Error('--go-webhook must name a built Go k8s-keystone-auth');
  for (const name of ['policies', 'questions', 'seed'] as const) {
    if (!/^\d{1,9}$/.test(values[name])) throw new Error(`--${name} must be a whole number`);
  }
  return {
    program,
    policies: Number(values.policies),
    questions: Number(values.questions),
    seed: Number(values.seed),
  };
}

function parseOrRefuse(text: string): Policy | undefined {
  try {
    return parsePolicy(text, new Set());
  } catch (error) {
    if (error instanceof InvalidPolicyError) return undefined;
    throw error;
  }
}

function isAllowed(policy: Policy, question: Question): boolean {
  const review = parseReview(JSON.stringify(question));
  if (review.kind !== 'SubjectAccessReview') throw new Error('not a SubjectAccessReview');
  return findAllowingEntry(policy, readSubject(review), review.request) !== undefined;
}

/** Counts a decision; whether it is the same or explained. */
function compare({ findings }: Policy, ours: boolean, go: GoAnswer): boolean {
  figures.decisions += 1;
  if (go === true) figures.allowedByGo += 1;
  if (ours === go) {
    figures.same += 1;
    return true;
  }
  const isWider = ours && go === false;
  figures[isWider ? 'wider' : go === 'panics' ? 'panics' : 'narrower'] += 1;
  return findings.some(({ kind, message }) => kind === 'fault' && (!isWider || WIDER.test(message)));
}

/** @returns whether every difference is explained */
async function run(): Promise<boolean> {
  const { program, policies, questions, seed } = readArguments();
  const folder = mkdtempSync(join(tmpdir(), 'cka-differential-policy-'));
  const keystone = await startStandInKeystone({});
  try {
    const settings = { program, keystoneUrl: keystone.url, pki: await makePki(join(folder, 'pki')), folder };
    for (let number = 0; number < policies; number += 1) {
      const random = makeRandom(seed + number);
      const text = makePolicyText(random);
      const asked = Array.from({ length: questions }, () => makeQuestion(random));
      const policy = parseOrRefuse(text);
      figures.policies += 1;
      if (policy === undefined) {
        figures.refusedHere += 1;
        continue;
      }
      const answers = await askGoWebhook(settings, text, asked);
      if (answers === undefined) {
        figures.refusedByGo += 1;
        continue;
      }
      for (const [index, question] of asked.entries()) {
        const ours = isAllowed(policy, question);
        const go = answers[index] ?? 'panics';
        if (compare(policy, ours, go)) continue;
        console.error(`an unexplained difference; repeat it with --seed ${seed + number} --policies 1`);
        console.error(JSON.stringify({ policy: JSON.parse(text) as unknown, spec: question.spec, ours, go }, null, 2));
        return false;
      }
    }
  } finally {
    await keystone.close();
    rmSync(folder, { recursive: true });
  }
  console.log(JSON.stringify(figures));
  return true;
}

process.exitCode = (await run()) ? 0 : 1;
