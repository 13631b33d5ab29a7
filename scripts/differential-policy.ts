/**
 * `npm run differential:policy`: compares what random policies allow here and in the Go k8s-keystone-auth. Where they differ,
 * each part of the policy is asked on its own, and what `policy lint` reports about the very part that differs must explain
 * it.
 *
 * usage: npm run differential:policy -- --go-webhook PATH [--policies 200] [--questions 60] [--seed 1]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EXTRA_KEYS } from '../src/webhook/authn/user-info.ts';
import { voidsEntry } from '../src/webhook/authz/policy/differences.ts';
import type { DifferenceName } from '../src/webhook/authz/policy/differences.ts';
import { findAllowingEntry, parsePolicy } from '../src/webhook/authz/policy/policy.ts';
import type { Policy } from '../src/webhook/authz/policy/policy.ts';
import { InvalidPolicyError } from '../src/webhook/authz/policy/policy-error.ts';
import { readSubject } from '../src/webhook/authz/policy/subject.ts';
import { parseReview } from '../src/webhook/review/review.ts';
import type { AccessReview } from '../src/webhook/review/review.ts';
import { startStandInKeystone } from '../test/support/stand-in-keystone.ts';
import { explainDifference } from './differential-policy/explain-difference.ts';
import { askGoWebhook } from './differential-policy/go-webhook.ts';
import type { GoAnswer, GoProgram } from './differential-policy/go-webhook.ts';
import { makePolicyText, makeQuestion, makeRandom } from './differential-policy/random-policy.ts';
import type { Question } from './differential-policy/random-policy.ts';
import { splitPolicy } from './differential-policy/split-policy.ts';
import { makePki } from './lib/pki.ts';

const figures = { policies: 0, refusedHere: 0, decisions: 0, allowedByGo: 0, same: 0 };
const differences = new Map<DifferenceName, number>();

/** @throws Error for a mistake in the arguments */
function readArguments(): { program: string; policies: number; questions: number; seed: number } {
  const { values } = parseArgs({
    options: {
      'go-webhook': { type: 'string' },
      policies: { type: 'string', default: '200' },
      questions: { type: 'string', default: '60' },
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

function readQuestion(question: Question): AccessReview {
  const review = parseReview(JSON.stringify(question));
  if (review.kind !== 'SubjectAccessReview') throw new Error('not a SubjectAccessReview');
  return review;
}

const isAllowed = (policy: Policy, review: AccessReview): boolean =>
  findAllowingEntry(policy, readSubject(review), review.request) !== undefined;

/** A policy, and the questions that both programs were asked about it. */
interface Comparison {
  readonly text: string;
  readonly policy: Policy;
  readonly decisions: readonly { readonly question: Question; readonly ours: boolean; readonly go: GoAnswer }[];
}

/** @returns what both programs answer, or a text that says why they cannot be compared */
async function comparePolicies(
  settings: GoProgram,
  text: string,
  questions: readonly Question[],
): Promise<Comparison | 'refused here' | 'refused by Go'> {
  const policy = parseOrRefuse(text);
  if (policy === undefined) return 'refused here';
  const answers = await askGoWebhook(settings, text, questions);
  if (answers === undefined) return 'refused by Go';
  const decisions = questions.map((question, index) => ({
    question,
    ours: isAllowed(policy, readQuestion(question)),
    go: answers[index] ?? ('panics' as const),
  }));
  return { text, policy, decisions };
}

const NAMES = [EXTRA_KEYS.roles, EXTRA_KEYS.projectId, EXTRA_KEYS.projectName];

/** Counts the differences of a part of a policy; one that its findings do not explain, as a text. */
function explainPart({ text, policy, decisions }: Comparison): string | undefined {
  for (const { question, ours, go } of decisions) {
    if (ours === go) continue;
    const review = readQuestion(question);
    const names = NAMES.flatMap((key) => review.extra.get(key) ?? []);
    const decided = { subject: readSubject(review), request: review.request, names, ours, go };
    const name = explainDifference(policy.findings, decided);
    if (name === undefined) {
      const part = JSON.parse(text) as unknown;
      return JSON.stringify({ part, findings: policy.findings, spec: question.spec, ours, go }, null, 2);
    }
    differences.set(name, (differences.get(name) ?? 0) + 1);
  }
  return undefined;
}

/** What voids an entry can be in another part of it. */
function applyVoidEntry(part: Comparison, { findings }: Policy, entry: number): Comparison {
  const reasons = findings.filter(
    (finding) => finding.entry === entry && finding.difference !== undefined && voidsEntry(finding.difference),
  );
  if (reasons.length === 0) return part;
  return {
    ...part,
    policy: { ...part.policy, findings: [...reasons, ...part.policy.findings] },
    decisions: part.decisions.map((decision) => ({ ...decision, ours: false })),
  };
}

/** Explains the differences of a policy by its parts; what is not explained, as a text. */
async function explainPolicy(settings: GoProgram, whole: Comparison): Promise<string | undefined> {
  const open = new Set(whole.decisions.filter(({ ours, go }) => ours !== go).map(({ question }) => question));
  if (open.size === 0) return undefined;
  const questions = [...open];
  for (const { text, entry } of splitPolicy(whole.text)) {
    const compared = await comparePolicies(settings, text, questions);
    if (typeof compared === 'string') return `a part of the policy is ${compared}: ${text}`;
    const part = applyVoidEntry(compared, whole.policy, entry);
    const unexplained = explainPart(part);
    if (unexplained !== undefined) return unexplained;
    for (const { question, ours, go } of part.decisions) if (ours !== go) open.delete(question);
  }
  const [question] = open;
  return question && `no part of the policy differs: ${whole.text} ${JSON.stringify(question.spec)}`;
}

/** @returns what is not explained, as a text */
async function tryPolicy(settings: GoProgram, seed: number, questions: number): Promise<string | undefined> {
  const random = makeRandom(seed);
  const text = makePolicyText(random);
  const asked = Array.from({ length: questions }, () => makeQuestion(random));
  const comparison = await comparePolicies(settings, text, asked);
  figures.policies += 1;
  if (comparison === 'refused here') {
    figures.refusedHere += 1;
    return undefined;
  }
  if (comparison === 'refused by Go') return `only the Go program refuses the policy: ${text}`;
  figures.decisions += asked.length;
  figures.allowedByGo += comparison.decisions.filter(({ go }) => go === true).length;
  figures.same += comparison.decisions.filter(({ ours, go }) => ours === go).length;
  return explainPolicy(settings, comparison);
}

/** @returns whether every difference is explained */
async function run(): Promise<boolean> {
  const { program, policies, questions, seed } = readArguments();
  const folder = mkdtempSync(join(tmpdir(), 'cka-differential-policy-'));
  const keystone = await startStandInKeystone({});
  try {
    const settings = { program, keystoneUrl: keystone.url, pki: await makePki(join(folder, 'pki')), folder };
    for (let number = 0; number < policies; number += 1) {
      const unexplained = await tryPolicy(settings, seed + number, questions);
      if (unexplained === undefined) continue;
      console.error(`an unexplained difference; repeat it with --seed ${seed + number} --policies 1`);
      console.error(unexplained);
      return false;
    }
  } finally {
    await keystone.close();
    rmSync(folder, { recursive: true });
  }
  console.log(JSON.stringify({ ...figures, differences: Object.fromEntries(differences) }));
  return true;
}

process.exitCode = (await run()) ? 0 : 1;
