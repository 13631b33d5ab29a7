/** Whether what `policy lint` reports about a part of a policy explains that the Go program decides differently. */
import { DIFFERENCES } from '../../src/webhook/authz/policy/differences.ts';
import type { DifferenceName } from '../../src/webhook/authz/policy/differences.ts';
import type { Finding } from '../../src/webhook/authz/policy/finding.ts';
import type { Subject } from '../../src/webhook/authz/policy/subject.ts';
import type { AccessRequest } from '../../src/webhook/review/access-request.ts';
import type { GoAnswer } from './go-webhook.ts';

/** A request, and what both programs answer. */
export interface DecidedDifferently {
  readonly subject: Subject;
  readonly request: AccessRequest;
  /** Names of roles and projects as the review has them, also empty ones. */
  readonly names: readonly string[];
  readonly ours: boolean;
  readonly go: GoAnswer;
}

type Condition = (difference: DecidedDifferently) => boolean;

const isForResource: Condition = ({ request }) => request.kind === 'resource';
const isForKeystoneUser: Condition = ({ subject }) => subject.isKeystoneUser;

/** Requests on which a difference can have an effect at all. */
const CONDITIONS: Readonly<Record<DifferenceName, Condition>> = {
  'lost-subresources': ({ request }) => request.kind === 'resource' && request.subresource !== '',
  'named-subresource': isForResource,
  'spaced-negation': isForResource,
  'unclear-exclusion': isForResource,
  'changed-letters': isForResource,
  'without-users': ({ subject }) => !subject.isKeystoneUser,
  'unknown-in-users': isForKeystoneUser,
  'users-domains': isForKeystoneUser,
  'unknown-restriction': isForKeystoneUser,
  'user-id': ({ subject }) => /^[\da-f]{32,64}$/.test(subject.uid),
  'empty-user': isForKeystoneUser,
  'empty-name': ({ names }) => names.includes(''),
  'incomplete-resource': ({ go, request }) => go === 'panics' && request.kind === 'resource',
};

/** The difference that explains it; undefined if none of the findings does. */
export function explainDifference(
  findings: readonly Finding[],
  decided: DecidedDifferently,
): DifferenceName | undefined {
  const grants = decided.ours ? 'more' : 'less';
  return findings
    .flatMap(({ difference }) => difference ?? [])
    .find(
      (name) =>
        DIFFERENCES[name].grants === grants &&
        (decided.go === 'panics') === (name === 'incomplete-resource') &&
        CONDITIONS[name](decided),
    );
}
