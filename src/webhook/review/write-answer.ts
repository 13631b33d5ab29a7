import { answerAccessReview, answerTokenReview } from './review.ts';
import type { AccessReview, AccessVerdict, ReviewVersion, TokenReview, TokenVerdict } from './review.ts';

/** An answer depends on the version and the verdict alone. The verdict on a cached token is the same object each time. */
const writtenAnswers: Readonly<Record<ReviewVersion, WeakMap<TokenVerdict, string>>> = {
  v1: new WeakMap(),
  v1beta1: new WeakMap(),
};

/** Writes the response to a TokenReview as JSON, once for each user and version. */
export function writeTokenAnswer(review: TokenReview, verdict: TokenVerdict): string {
  if (verdict.kind !== 'accepted') return JSON.stringify(answerTokenReview(review, verdict));
  const answers = writtenAnswers[review.version];
  const known = answers.get(verdict);
  if (known !== undefined) return known;
  const answer = JSON.stringify(answerTokenReview(review, verdict));
  answers.set(verdict, answer);
  return answer;
}

/** Writes the response to a SubjectAccessReview as JSON. */
export const writeAccessAnswer = (review: AccessReview, verdict: AccessVerdict): string =>
  JSON.stringify(answerAccessReview(review, verdict));
