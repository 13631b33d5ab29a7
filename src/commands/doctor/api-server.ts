/** What an API server makes of the token: who it says that we are. */
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../../json.ts';
import type { JsonObject } from '../../json.ts';
import { openHttp } from '../../keystone/http.ts';
import type { Http, HttpAnswer } from '../../keystone/http.ts';
import type { Login } from '../../login/login.ts';
import { Secret } from '../../secret.ts';
import { quote } from '../../quote.ts';
import type { TokenRecord } from '../../cache/record.ts';
import type { Cluster } from './cluster.ts';
import { bad, doubtful, good } from './sheet.ts';
import type { Outcome } from './sheet.ts';

/** Of SelfSubjectReview (kubernetes API, authentication.k8s.io), the newest first; before 1.26 there was none. */
const REVIEWS = ['v1', 'v1beta1', 'v1alpha1'];

const ANONYMOUS = 'system:anonymous';

interface Answered {
  readonly status: number;
  readonly body: JsonObject | undefined;
}

type Post = (path: string, body: object) => Promise<Answered>;

function askAs(http: Http, { target }: Cluster, token: string): Post {
  const base = target.url.href.replace(/\/$/, '');
  return async (path, body) => {
    const answer: HttpAnswer = await http.send({
      verb: 'POST',
      url: `${base}${path}`,
      headers: { authorization: new Secret(`Bearer ${token}`) },
      body: JSON.stringify(body),
      ...(target.place === undefined ? {} : { place: target.place }),
    });
    return { status: answer.status, body: parseJsonObject(answer.body) };
  };
}

/** Whom a refusal is about: `… is forbidden: User "alice" cannot create …`. */
const namedIn = (body: JsonObject | undefined): string | undefined =>
  /User "([^"]+)" cannot/.exec(textAt(body, 'message') ?? '')?.[1];

/** An API server that has understood the question, or one that knows no such question. */
type Judgement = Outcome<never> | undefined;

function judgeName(name: string, groups: readonly string[], context: Context): Outcome<never> {
  if (name === ANONYMOUS) return refuse('takes nobody for the owner of the token', context);
  const names = groups.filter((group) => !group.startsWith('system:'));
  return good(`it knows the token's owner as ${quote(name)}, in ${quote(names.join(', ')) || 'no groups'}`);
}

/** What else is known when the token is refused. */
interface Context {
  /** Why k8s-keystone-auth would refuse it, if it is known to. */
  readonly flaw: { readonly found: string; readonly fix: string } | undefined;
}

function refuse(what: string, { flaw }: Context): Outcome<never> {
  const code = 'auth-rejected';
  if (flaw !== undefined) return bad(`it ${what}: ${flaw.found}`, flaw.fix, { code });
  const why = "it does not know Keystone's tokens (it has no webhook for them), or its webhook cannot reach this Keystone";
  const fix =
    'ask the administrator of the cluster to run k8s-keystone-auth with this Keystone, and to set --authentication-token-webhook-config-file of kube-apiserver to it';
  return bad(`it ${what}: ${why}`, fix, { code });
}

const UNAUTHORIZED = 'answers 401 to a token that Keystone has just given or confirmed';

async function review(post: Post, version: string, context: Context): Promise<Judgement> {
  const apiVersion = `authentication.k8s.io/${version}`;
  const { status, body } = await post(`/apis/${apiVersion}/selfsubjectreviews`, { apiVersion, kind: 'SelfSubjectReview' });
  if (status === 401) return refuse(UNAUTHORIZED, context);
  const user = objectAt(objectAt(body, 'status'), 'userInfo');
  const name = textAt(user, 'username');
  if (name === undefined || status > 299) return undefined;
  const groups = listAt(user, 'groups').filter((group) => typeof group === 'string');
  return judgeName(name, groups, context);
}

/** What every API server answers, to all who are logged in; whom it takes us for stands in its refusals alone. */
async function mayAsk(post: Post, context: Context): Promise<Outcome<never>> {
  const apiVersion = 'authorization.k8s.io/v1';
  const spec = { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } };
  const { status, body } = await post(`/apis/${apiVersion}/selfsubjectaccessreviews`, {
    apiVersion,
    kind: 'SelfSubjectAccessReview',
    spec,
  });
  if (status === 401) return refuse(UNAUTHORIZED, context);
  const name = namedIn(body);
  if (status === 403 && name !== undefined) {
    if (name === ANONYMOUS) return judgeName(name, [], context);
    return doubtful(
      `it knows the token's owner as ${quote(name)}, who may not even ask what is allowed`,
      "ask the administrator of the cluster for rights, in its RBAC or in k8s-keystone-auth's policy",
    );
  }
  if (status > 299 || !isJsonObject(body?.['status'])) {
    return bad(`it answers ${status}, and not as an API server does`, 'check the server in the kubeconfig', { code: 'protocol' });
  }
  return good('it takes the token; it is too old to say whom it takes us for');
}

/**
 * Shows the token to the API server, as kubectl does.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkApiServer(
  { host, userAgent, deadlineMs, reporter }: Login,
  cluster: Cluster,
  { record, flaw }: { readonly record: TokenRecord; readonly flaw: Context['flaw'] },
): Promise<Outcome<never>> {
  const { target, tls } = cluster;
  const proxy = target.proxy === undefined ? {} : { https_proxy: target.proxy.href };
  const { serverName } = target;
  const settings = { host, tls, trusted: undefined, proxy, serverName, userAgent, deadlineMs, log: reporter.detail };
  const http = await openHttp(settings);
  try {
    const post = askAs(http, cluster, record.token);
    for (const version of REVIEWS) {
      const judged = await review(post, version, { flaw });
      if (judged !== undefined) return judged;
    }
    return await mayAsk(post, { flaw });
  } finally {
    http.close();
  }
}
