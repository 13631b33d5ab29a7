/** Reviews that are sent to a webhook directly, over each kind of connection. */
import { readFileSync } from 'node:fs';
import { forDuration, generateLoad } from '../../test/support/load-generator.ts';
import type { LoadClient } from '../../test/support/load-generator.ts';
import { makeTokenReview } from '../../test/support/webhook-client.ts';
import type { Pki } from '../lib/pki.ts';
import type { Load, Webhook } from './compare.ts';

export const POLICY_ENTRIES = 1_000;

/** What the first and the last entry of the policy are about. */
export const REVIEW_NAMESPACES = [
  { namespace: 'web-0', entry: 1 },
  { namespace: 'web', entry: POLICY_ENTRIES },
] as const;

const SLICE_MS = 500;

/** A policy of which each entry is about another namespace; the last is about `web`. */
export function makePolicyText(): string {
  const entries = Array.from({ length: POLICY_ENTRIES }, (_, number) => ({
    users: { projects: ['web'], roles: ['member'] },
    resource_permissions: {
      [`${number === POLICY_ENTRIES - 1 ? 'web' : `web-${number}`}/['pods', 'services', 'configmaps']`]: [
        'get',
        'list',
      ],
    },
  }));
  return JSON.stringify(entries);
}

/** A SubjectAccessReview as kube-apiserver writes it, with all members that the Go webhook needs. */
export function makeCompleteAccessReview(namespace: string, version = 'v1beta1'): object {
  const extra = 'alpha.kubernetes.io/identity';
  return {
    kind: 'SubjectAccessReview',
    apiVersion: `authorization.k8s.io/${version}`,
    metadata: { creationTimestamp: null },
    spec: {
      resourceAttributes: { namespace, verb: 'get', version: 'v1', resource: 'pods', name: 'web-7d4b' },
      user: 'alice',
      [version === 'v1' ? 'groups' : 'group']: ['0123456789abcdef0123456789abcdef', 'system:authenticated'],
      extra: {
        [`${extra}/project/id`]: ['0123456789abcdef0123456789abcdef'],
        [`${extra}/project/name`]: ['web'],
        [`${extra}/roles`]: ['member', 'reader'],
        [`${extra}/user/domain/id`]: ['default'],
        [`${extra}/user/domain/name`]: ['Default'],
      },
      uid: '0123456789abcdef0123456789abcdef',
    },
    status: { allowed: false },
  };
}

const CLIENTS: readonly {
  readonly name: string;
  readonly client: LoadClient;
  readonly connections: number;
  readonly maxPauseMs?: number;
}[] = [
  { name: 'HTTP/1.1, 1 connection', client: 'http/1.1', connections: 1 },
  { name: 'HTTP/2, 1 at a time', client: 'h2', connections: 1 },
  { name: 'HTTP/1.1, 64 connections', client: 'http/1.1', connections: 64 },
  { name: 'HTTP/1.1 as client-go, 64 at a time', client: 'http/1.1-pool', connections: 64, maxPauseMs: 10 },
  { name: 'HTTP/2 as client-go, 64 at a time', client: 'h2', connections: 64 },
  { name: 'HTTP/2 as client-go, 200 at a time', client: 'h2', connections: 200 },
];

/** Each review over each kind of connection. */
export function listReviewLoads(pki: Pki, token: string): readonly Load<{ readonly webhook: Webhook }>[] {
  const ca = readFileSync(pki.ca);
  const reviews = [
    ...REVIEW_NAMESPACES.map(({ namespace, entry }) => ({
      review: `SubjectAccessReview that entry ${entry} allows`,
      body: makeCompleteAccessReview(namespace),
      expected: /"allowed": ?true/,
    })),
    {
      review: 'TokenReview of a known token',
      body: makeTokenReview(token, 'v1beta1'),
      expected: /"authenticated": ?true/,
    },
  ];
  return reviews.flatMap(({ review, body, expected }) =>
    CLIENTS.map(({ name, ...connection }) => ({
      client: name,
      review,
      measure: ({ webhook }) =>
        generateLoad({
          ...connection,
          port: webhook.port,
          ca,
          nextBody: forDuration(SLICE_MS, () => JSON.stringify(body)),
          onResponse: (response) => {
            if (!expected.test(response)) throw new Error(`${review}: ${response}`);
          },
        }),
    })),
  );
}
