/** What an API server makes of the token: who it says that we are. */
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { openHttpClient } from '../../../shared/http/http-client.ts';
import type { HttpClient, HttpResponse } from '../../../shared/http/http-client.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { Secret } from '../../../shared/base/secret.ts';
import { redactAndTruncate } from '../../../shared/base/quote.ts';
import type { TokenRecord } from '../../cache/token-record.ts';
import type { Cluster } from './cluster.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** Of SelfSubjectReview (kubernetes API, authentication.k8s.io), the newest first; before 1.26 there was none. */
const REVIEWS = ['v1', 'v1beta1', 'v1alpha1'];

const ANONYMOUS = 'system:anonymous';

interface Answered {
  readonly status: number;
  readonly body: JsonObject | undefined;
}

type Post = (path: string, body: object) => Promise<Answered>;

function askAs(http: HttpClient, { target }: Cluster, token: string): Post {
  const base = target.url.href.replace(/\/$/, '');
  // Known by itself too, should the server say it back.
  const secret = new Secret(token);
  return async (path, body) => {
    const answer: HttpResponse = await http.send({
      verb: 'POST',
      url: `${base}${path}`,
      headers: { authorization: new Secret(`Bearer ${secret.reveal()}`) },
      body: JSON.stringify(body),
      ...(target.peer === undefined ? {} : { peer: target.peer }),
    });
    return { status: answer.status, body: parseJsonObject(answer.body) };
  };
}

/** Whom a refusal is about: `… is forbidden: User "alice" cannot create …`. */
const namedIn = (body: JsonObject | undefined): string | undefined =>
  /User "([^"]+)" cannot/.exec(textAt(body, 'message') ?? '')?.[1];

/** Why k8s-keystone-auth would refuse a token, or what else is the matter with it. */
export interface TokenFlaw {
  readonly message: string;
  readonly fix: string;
}

const NO_WEBHOOK: TokenFlaw = {
  message:
    "the cluster does not know Keystone's tokens (it has no webhook for them), or its webhook cannot reach this Keystone",
  fix: 'ask the administrator of the cluster to run k8s-keystone-auth with this Keystone, and to set --authentication-token-webhook-config-file of kube-apiserver to it',
};

function refuse(what: string, { message, fix }: TokenFlaw = NO_WEBHOOK): CheckOutcome<never> {
  return fail(`${what}: ${message}`, fix, { code: 'auth-rejected' });
}

const UNAUTHORIZED = 'answers 401 to the token';
const NOBODY = 'takes whoever has the token for nobody';

/** What an answer amounts to, or the name that was in it. */
interface Judgement {
  readonly outcome?: CheckOutcome<never>;
  readonly name?: string | undefined;
}

async function review(post: Post, version: string, flaw: TokenFlaw | undefined): Promise<Judgement> {
  const apiVersion = `authentication.k8s.io/${version}`;
  const { status, body } = await post(`/apis/${apiVersion}/selfsubjectreviews`, {
    apiVersion,
    kind: 'SelfSubjectReview',
  });
  if (status === 401) return { outcome: refuse(UNAUTHORIZED, flaw) };
  // One that does not know the question may refuse it before it finds that out.
  if (status === 403) return { name: namedIn(body) };
  const user = objectAt(objectAt(body, 'status'), 'userInfo');
  const name = textAt(user, 'username');
  if (name === undefined || status > 299) return {};
  if (name === ANONYMOUS) return { outcome: refuse(NOBODY, flaw) };
  const groups = listAt(user, 'groups').flatMap((group) =>
    typeof group === 'string' && !group.startsWith('system:') ? [redactAndTruncate(group)] : [],
  );
  return { outcome: pass(`takes you for ${redactAndTruncate(name)}, in ${groups.join(', ') || 'no groups'}`) };
}

/** What every API server answers to all who are logged in; whom it takes them for stands in refusals alone. */
async function mayAsk(post: Post, name: string | undefined, flaw: TokenFlaw | undefined): Promise<CheckOutcome<never>> {
  const apiVersion = 'authorization.k8s.io/v1';
  const { status, body } = await post(`/apis/${apiVersion}/selfsubjectaccessreviews`, {
    apiVersion,
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } },
  });
  if (status === 401) return refuse(UNAUTHORIZED, flaw);
  const who = name ?? namedIn(body);
  if (who === ANONYMOUS) return refuse(NOBODY, flaw);
  const whom = who === undefined ? 'the token' : `you for ${redactAndTruncate(who)}`;
  if (status < 300 && isJsonObject(body?.['status'])) return pass(`takes ${whom}`);
  if (status === 403) {
    return warn(
      `takes ${whom}, and does not even say what is allowed`,
      "ask the administrator of the cluster for rights, in its RBAC or in k8s-keystone-auth's policy",
    );
  }
  return fail(`answers ${status}, and not as an API server does`, 'check the server in the kubeconfig', {
    code: 'protocol',
  });
}

/**
 * Shows the token to the API server, as kubectl does.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkApiServer(
  { host, userAgent, deadlineMs, reporter }: LoginContext,
  cluster: Cluster,
  { record, flaw }: { readonly record: TokenRecord; readonly flaw: TokenFlaw | undefined },
): Promise<CheckOutcome<never>> {
  const { target, tls } = cluster;
  const proxy = target.proxy === undefined ? {} : { https_proxy: target.proxy.href };
  const { serverName } = target;
  const settings = {
    host,
    tls,
    trustedOrigins: undefined,
    proxyEnv: proxy,
    serverName,
    userAgent,
    deadlineMs,
    log: reporter.debug,
  };
  const http = await openHttpClient(settings);
  try {
    const post = askAs(http, cluster, record.token);
    let name: string | undefined;
    for (const version of REVIEWS) {
      const judged = await review(post, version, flaw);
      if (judged.outcome !== undefined) return judged.outcome;
      name ??= judged.name;
    }
    return await mayAsk(post, name, flaw);
  } finally {
    http.close();
  }
}
