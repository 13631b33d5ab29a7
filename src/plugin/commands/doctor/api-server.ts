/** Which user the API server authenticates the token as. */
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { openHttpClient } from '../../../shared/http/http-client.ts';
import type { HttpClient } from '../../../shared/http/http-client.ts';
import type { HttpResponse } from '../../../shared/http/http-message.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { Secret } from '../../../shared/base/secret.ts';
import { redactAndTruncate } from '../../../shared/base/text.ts';
import type { TokenRecord } from '../../cache/token-record.ts';
import type { Cluster } from './cluster.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** Versions of SelfSubjectReview (Kubernetes API, authentication.k8s.io), newest first; none before Kubernetes 1.26. */
const REVIEW_VERSIONS = ['v1', 'v1beta1', 'v1alpha1'];

const ANONYMOUS = 'system:anonymous';

interface ApiResponse {
  readonly status: number;
  readonly body: JsonObject | undefined;
}

type Post = (path: string, body: object) => Promise<ApiResponse>;

function makePost(http: HttpClient, { target }: Cluster, token: string): Post {
  const base = target.url.href.replace(/\/$/, '');
  // Registers the token without "Bearer" too, so that it is redacted if the server repeats it.
  const secret = new Secret(token);
  return async (path, body) => {
    const response: HttpResponse = await http.send({
      verb: 'POST',
      url: `${base}${path}`,
      headers: { authorization: new Secret(`Bearer ${secret.reveal()}`) },
      body: JSON.stringify(body),
      ...(target.peer === undefined ? {} : { peer: target.peer }),
    });
    return { status: response.status, body: parseJsonObject(response.body) };
  };
}

/** Reads the user name in a 403 response: `… is forbidden: User "alice" cannot create …`. */
const readForbiddenUser = (body: JsonObject | undefined): string | undefined =>
  /User "([^"]+)" cannot/.exec(textAt(body, 'message') ?? '')?.[1];

/** Why the cluster may reject the token. */
export interface TokenFlaw {
  readonly message: string;
  readonly fix: string;
}

const NO_WEBHOOK: TokenFlaw = {
  message:
    "the cluster does not know Keystone's tokens (it has no webhook for them), or its webhook cannot reach " +
    'this Keystone',
  fix:
    'ask the administrator of the cluster to run k8s-keystone-auth with this Keystone and to point ' +
    '--authentication-token-webhook-config-file of kube-apiserver to it',
};

function reject(symptom: string, { message, fix }: TokenFlaw = NO_WEBHOOK): CheckOutcome<never> {
  return fail(`${symptom}: ${message}`, fix, { code: 'auth-rejected' });
}

const UNAUTHORIZED = 'answers 401 to the token';
const TREATED_AS_ANONYMOUS = 'ignores the token and treats you as anonymous';

/** The outcome of a review, or the user name in its response if there is no outcome. */
interface ReviewResult {
  readonly outcome?: CheckOutcome<never>;
  readonly name?: string | undefined;
}

async function review(post: Post, version: string, flaw: TokenFlaw | undefined): Promise<ReviewResult> {
  const apiVersion = `authentication.k8s.io/${version}`;
  const { status, body } = await post(`/apis/${apiVersion}/selfsubjectreviews`, {
    apiVersion,
    kind: 'SelfSubjectReview',
  });
  if (status === 401) return { outcome: reject(UNAUTHORIZED, flaw) };
  // A server without this version may check permissions before it looks for the version.
  if (status === 403) return { name: readForbiddenUser(body) };
  const user = objectAt(objectAt(body, 'status'), 'userInfo');
  const name = textAt(user, 'username');
  if (name === undefined || status > 299) return {};
  if (name === ANONYMOUS) return { outcome: reject(TREATED_AS_ANONYMOUS, flaw) };
  const groups = listAt(user, 'groups').flatMap((group) =>
    typeof group === 'string' && !group.startsWith('system:') ? [redactAndTruncate(group)] : [],
  );
  return { outcome: pass(`authenticates you as ${redactAndTruncate(name)}, in ${groups.join(', ') || 'no groups'}`) };
}

/** Creates a SelfSubjectAccessReview, which every API server has. Only a rejection contains the user name. */
async function reviewAccess(
  post: Post,
  name: string | undefined,
  flaw: TokenFlaw | undefined,
): Promise<CheckOutcome<never>> {
  const apiVersion = 'authorization.k8s.io/v1';
  const { status, body } = await post(`/apis/${apiVersion}/selfsubjectaccessreviews`, {
    apiVersion,
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } },
  });
  if (status === 401) return reject(UNAUTHORIZED, flaw);
  const userName = name ?? readForbiddenUser(body);
  if (userName === ANONYMOUS) return reject(TREATED_AS_ANONYMOUS, flaw);
  const verdict = userName === undefined ? 'accepts the token' : `authenticates you as ${redactAndTruncate(userName)}`;
  if (status < 300 && isJsonObject(body?.['status'])) return pass(verdict);
  if (status === 403) {
    return warn(
      `${verdict}, but does not let you review your own access`,
      'ask the administrator of the cluster for permissions, in its RBAC or in the policy of k8s-keystone-auth',
    );
  }
  return fail(`answers ${status}, but not as an API server does`, 'check the server in the kubeconfig', {
    code: 'protocol',
  });
}

/**
 * Sends the token to the API server, as kubectl does.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkApiServer(
  { host, userAgent, deadlineMs, reporter }: LoginContext,
  cluster: Cluster,
  { record, flaw }: { readonly record: TokenRecord; readonly flaw: TokenFlaw | undefined },
): Promise<CheckOutcome<never>> {
  const { target, tls } = cluster;
  const { choice, serverName } = target;
  const settings = {
    host,
    tls,
    trustedOrigins: undefined,
    chooseProxy: () => choice,
    serverName,
    userAgent,
    deadlineMs,
    waitFor: reporter.waitFor,
    log: reporter.debug,
  };
  const http = await openHttpClient(settings);
  try {
    const post = makePost(http, cluster, record.token);
    let name: string | undefined;
    for (const version of REVIEW_VERSIONS) {
      const result = await review(post, version, flaw);
      if (result.outcome !== undefined) return result.outcome;
      name ??= result.name;
    }
    return await reviewAccess(post, name, flaw);
  } finally {
    http.close();
  }
}
