/**
 * The two questions that kube-apiserver asks a webhook, and their answers: TokenReview of authentication.k8s.io and
 * SubjectAccessReview of authorization.k8s.io, v1 and v1beta1, each answered in the version that asked.
 */
import { isJsonObject, objectAt, parseJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { UserInfo } from '../authn/user-info.ts';
import { UntrackedSecret } from './untracked-secret.ts';

export type ReviewVersion = 'v1' | 'v1beta1';

/** Whose token is this? */
export interface TokenReview {
  readonly kind: 'TokenReview';
  readonly version: ReviewVersion;
  readonly token: Secret;
}

/** A request for a resource of the cluster; what is not said is the empty string, as in Kubernetes. */
export interface ResourceRequest {
  readonly kind: 'resource';
  readonly verb: string;
  readonly namespace: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
}

/** A request for anything else that the API server has, such as `/healthz`. */
export interface PathRequest {
  readonly kind: 'path';
  readonly verb: string;
  readonly path: string;
}

export type AccessRequest = ResourceRequest | PathRequest;

/** May this user do that? */
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

/** What was sent is no review; the message says why, in words that quote nothing. */
export class InvalidReviewError extends Error {}

/** What a review's token turned out to be. */
export type TokenVerdict =
  | { readonly kind: 'accepted'; readonly userInfo: UserInfo }
  /** kube-apiserver keeps this for a while. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nobody can say now; kube-apiserver asks again next time. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** Whether a request may pass; `denied` overrides what other authorizers say. */
export interface AccessVerdict {
  readonly allowed: boolean;
  readonly denied: boolean;
  readonly reason: string;
}

const VERSIONS: readonly string[] = ['v1', 'v1beta1'] satisfies ReviewVersion[];

function isVersion(text: string): text is ReviewVersion {
  return VERSIONS.includes(text);
}

function readText(value: JsonObject, name: string): string {
  if (!Object.hasOwn(value, name)) return '';
  const member = value[name];
  if (typeof member !== 'string') throw new InvalidReviewError(`${name} must be a string`);
  return member;
}

function readTexts(value: JsonObject, name: string): readonly string[] {
  const member = Object.hasOwn(value, name) ? value[name] : undefined;
  // Go writes an empty list as null.
  if (member === undefined || member === null) return [];
  if (!Array.isArray(member) || !member.every((one) => typeof one === 'string')) {
    throw new InvalidReviewError(`${name} must be a list of strings`);
  }
  return member;
}

function readExtra(spec: JsonObject): ReadonlyMap<string, readonly string[]> {
  const member = Object.hasOwn(spec, 'extra') ? spec['extra'] : undefined;
  if (member === undefined || member === null) return new Map();
  if (!isJsonObject(member)) throw new InvalidReviewError('extra must be an object');
  return new Map(Object.keys(member).map((name) => [name, readTexts(member, name)]));
}

function readRequest(spec: JsonObject): AccessRequest {
  const resource = objectAt(spec, 'resourceAttributes');
  const path = objectAt(spec, 'nonResourceAttributes');
  if (resource !== undefined && path !== undefined) {
    throw new InvalidReviewError('resourceAttributes and nonResourceAttributes exclude each other');
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

function readAccess(version: ReviewVersion, spec: JsonObject): AccessReview {
  return {
    kind: 'SubjectAccessReview',
    version,
    user: readText(spec, 'user'),
    uid: readText(spec, 'uid'),
    groups: readTexts(spec, version === 'v1' ? 'groups' : 'group'),
    extra: readExtra(spec),
    request: readRequest(spec),
  };
}

function readToken(version: ReviewVersion, spec: JsonObject): TokenReview {
  const token = readText(spec, 'token');
  if (token === '') throw new InvalidReviewError('spec.token is missing');
  return { kind: 'TokenReview', version, token: new UntrackedSecret(token) };
}

const READERS: Readonly<
  Record<string, { readonly group: string; readonly read: (version: ReviewVersion, spec: JsonObject) => Review }>
> = {
  TokenReview: { group: 'authentication.k8s.io', read: readToken },
  SubjectAccessReview: { group: 'authorization.k8s.io', read: readAccess },
};

/**
 * Reads a review.
 *
 * @throws BadReview
 */
export function parseReview(text: string): Review {
  const body = parseJsonObject(text);
  if (body === undefined) throw new InvalidReviewError('the body is not a JSON object');
  const kind = textAt(body, 'kind') ?? '';
  const reader = Object.hasOwn(READERS, kind) ? READERS[kind] : undefined;
  if (reader === undefined) throw new InvalidReviewError('kind must be TokenReview or SubjectAccessReview');
  const [group, version = ''] = (textAt(body, 'apiVersion') ?? '').split('/');
  if (group !== reader.group || !isVersion(version)) {
    throw new InvalidReviewError(`apiVersion of a ${kind} must be ${reader.group}/v1 or ${reader.group}/v1beta1`);
  }
  const spec = objectAt(body, 'spec');
  if (spec === undefined) throw new InvalidReviewError('spec must be an object');
  return reader.read(version, spec);
}

/**
 * The answer to a TokenReview. The token is not echoed. A refused one gets no `error`, since kube-apiserver remembers only
 * answers without.
 */
export function answerTokenReview({ version }: TokenReview, verdict: TokenVerdict): JsonObject {
  const apiVersion = `authentication.k8s.io/${version}`;
  if (verdict.kind === 'accepted') {
    return { apiVersion, kind: 'TokenReview', status: { authenticated: true, user: verdict.userInfo } };
  }
  const error = verdict.kind === 'unknown' ? { error: verdict.reason } : {};
  return { apiVersion, kind: 'TokenReview', status: { authenticated: false, ...error } };
}

/** The answer to a SubjectAccessReview. */
export function answerAccessReview({ version }: AccessReview, { allowed, denied, reason }: AccessVerdict): JsonObject {
  const status = { allowed, ...(denied ? { denied } : {}), reason };
  return { apiVersion: `authorization.k8s.io/${version}`, kind: 'SubjectAccessReview', status };
}

/** What Kubernetes' own API says of a request that failed (`Status` of meta/v1). */
export function makeStatus(code: number, reason: string, message: string): JsonObject {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}
