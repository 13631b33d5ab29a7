/**
 * The two reviews that kube-apiserver sends to a webhook, and the responses: TokenReview of authentication.k8s.io and
 * SubjectAccessReview of authorization.k8s.io, v1 and v1beta1. The response has the version of the request.
 */
import { makeMemberReader } from '../../shared/base/json-members.ts';
import { objectAt, parseJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { AccessRequest } from './access-request.ts';
import { UntrackedSecret } from './untracked-secret.ts';

export type ReviewVersion = 'v1' | 'v1beta1';

/** Asks which user a token belongs to. */
export interface TokenReview {
  readonly kind: 'TokenReview';
  readonly version: ReviewVersion;
  readonly token: Secret;
}

/** Asks whether a user may do something. */
export interface AccessReview {
  readonly kind: 'SubjectAccessReview';
  readonly version: ReviewVersion;
  readonly user: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: ReadonlyMap<string, readonly string[]>;
  readonly request: AccessRequest;
}

export type Review = TokenReview | AccessReview;

/** The body is not a review; the message says why and quotes nothing. */
export class InvalidReviewError extends Error {}

/** A Kubernetes user (`UserInfo` of authentication.k8s.io). */
export interface UserInfo {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Why a token is refused; a label of the metrics. */
export const REFUSAL_CAUSES = [
  'unrecognized',
  'not-accepted',
  'expired',
  'scope',
  'access-rules',
  'user-name',
  'claims',
  'signature',
] as const;

export type RefusalCause = (typeof REFUSAL_CAUSES)[number];

export interface Refusal {
  readonly kind: 'refused';
  readonly cause: RefusalCause;
  readonly reason: string;
}

/** The verdict on a token. */
export type TokenVerdict =
  | { readonly kind: 'accepted'; readonly userInfo: UserInfo }
  /** kube-apiserver caches this for a while. */
  | Refusal
  /** Cannot be decided now; kube-apiserver asks again at the next request. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** The verdict on a request; `denied` overrules the other authorizers of the cluster. */
export interface AccessVerdict {
  readonly allowed: boolean;
  readonly denied: boolean;
  readonly reason: string;
}

const VERSIONS: readonly string[] = ['v1', 'v1beta1'] satisfies ReviewVersion[];

function isVersion(text: string): text is ReviewVersion {
  return VERSIONS.includes(text);
}

const makeTypeError = (name: string, expected: string): InvalidReviewError =>
  new InvalidReviewError(`${name} must be ${expected}`);

const members = makeMemberReader(makeTypeError);

function readText(value: JsonObject, name: string): string {
  // Unlike a list or an object, Go never writes an empty string as null.
  if (Object.hasOwn(value, name) && value[name] === null) throw makeTypeError(name, 'a string');
  return members.text(value, name) ?? '';
}

const readTextList = (value: JsonObject, name: string): readonly string[] => members.textList(value, name) ?? [];

function readExtra(spec: JsonObject): ReadonlyMap<string, readonly string[]> {
  const extra = members.object(spec, 'extra') ?? {};
  return new Map(Object.keys(extra).map((name) => [name, readTextList(extra, name)]));
}

function readRequest(spec: JsonObject): AccessRequest {
  const resource = objectAt(spec, 'resourceAttributes');
  const path = objectAt(spec, 'nonResourceAttributes');
  if (resource !== undefined && path !== undefined) {
    throw new InvalidReviewError('resourceAttributes and nonResourceAttributes are mutually exclusive');
  }
  if (path !== undefined) return { kind: 'path', verb: readText(path, 'verb'), path: readText(path, 'path') };
  if (resource === undefined)
    throw new InvalidReviewError('resourceAttributes or nonResourceAttributes must be an object');
  return {
    kind: 'resource',
    verb: readText(resource, 'verb'),
    namespace: readText(resource, 'namespace'),
    group: readText(resource, 'group'),
    resource: readText(resource, 'resource'),
    subresource: readText(resource, 'subresource'),
    name: readText(resource, 'name'),
  };
}

function readAccessReview(version: ReviewVersion, spec: JsonObject): AccessReview {
  return {
    kind: 'SubjectAccessReview',
    version,
    user: readText(spec, 'user'),
    uid: readText(spec, 'uid'),
    groups: readTextList(spec, version === 'v1' ? 'groups' : 'group'),
    extra: readExtra(spec),
    request: readRequest(spec),
  };
}

function readTokenReview(version: ReviewVersion, spec: JsonObject): TokenReview {
  // Go leaves spaces at the ends of a header's value out, and so a token with spaces works there.
  const token = readText(spec, 'token')
    .replace(/^[ \t]+/, '')
    .trimEnd();
  if (token === '') throw new InvalidReviewError('spec.token is missing');
  return { kind: 'TokenReview', version, token: new UntrackedSecret(token) };
}

const READERS: Readonly<
  Record<string, { readonly group: string; readonly read: (version: ReviewVersion, spec: JsonObject) => Review }>
> = {
  TokenReview: { group: 'authentication.k8s.io', read: readTokenReview },
  SubjectAccessReview: { group: 'authorization.k8s.io', read: readAccessReview },
};

/**
 * Parses a review.
 *
 * @throws InvalidReviewError
 */
export function parseReview(text: string): Review {
  const body = parseJsonObject(text);
  if (body === undefined) throw new InvalidReviewError('the body is not a JSON object');
  const kind = textAt(body, 'kind') ?? '';
  const reader = Object.hasOwn(READERS, kind) ? READERS[kind] : undefined;
  if (reader === undefined) throw new InvalidReviewError('kind must be TokenReview or SubjectAccessReview');
  const [group, version = '', ...rest] = (textAt(body, 'apiVersion') ?? '').split('/');
  if (group !== reader.group || !isVersion(version) || rest.length > 0) {
    throw new InvalidReviewError(`apiVersion of a ${kind} must be ${reader.group}/v1 or ${reader.group}/v1beta1`);
  }
  const spec = objectAt(body, 'spec');
  if (spec === undefined) throw new InvalidReviewError('spec must be an object');
  return reader.read(version, spec);
}

/**
 * Makes the response to a TokenReview, without the token. A refused token gets no `error`, because kube-apiserver does
 * not cache responses that have one.
 */
export function answerTokenReview({ version }: TokenReview, verdict: TokenVerdict): JsonObject {
  const apiVersion = `authentication.k8s.io/${version}`;
  if (verdict.kind === 'accepted') {
    return { apiVersion, kind: 'TokenReview', status: { authenticated: true, user: verdict.userInfo } };
  }
  const error = verdict.kind === 'unknown' ? { error: verdict.reason } : {};
  return { apiVersion, kind: 'TokenReview', status: { authenticated: false, ...error } };
}

/** Makes the response to a SubjectAccessReview. */
export function answerAccessReview({ version }: AccessReview, { allowed, denied, reason }: AccessVerdict): JsonObject {
  const status = { allowed, ...(denied ? { denied } : {}), reason };
  return { apiVersion: `authorization.k8s.io/${version}`, kind: 'SubjectAccessReview', status };
}

/** Describes a failed request as the Kubernetes API does (`Status` of meta/v1). */
export function makeStatus(code: number, reason: string, message: string): JsonObject {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}
