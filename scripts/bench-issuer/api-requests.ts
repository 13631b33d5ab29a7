/** Requests to a kube-apiserver that verifies JWTs of the issuer, and to one that asks the webhook about tokens. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectText, forDuration, generateLoad } from '../../test/support/load-generator.ts';
import type { LoadResult } from '../../test/support/load-generator.ts';
import { makeForm, postForm } from '../../test/support/issuer-settings.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import type { Owner, WebhookClient } from '../../test/support/webhook-client.ts';
import { WITHOUT_WEBHOOK_AUTHENTICATION, WITHOUT_WEBHOOK_AUTHORIZATION } from '../../test/support/without-webhook.ts';
import { makeAdminToken, startKubeApiserver } from '../kubernetes/kube-apiserver.ts';
import type { KubeApiserver, KubeApiserverOptions } from '../kubernetes/kube-apiserver.ts';
import { writeIssuerFlags } from '../kubernetes/issuer-flags.ts';
import { readMinor } from '../kubernetes/versions.ts';
import { findFreePort } from '../lib/free-port.ts';
import type { Pki } from '../lib/pki.ts';
import type { BenchCase } from './rounds.ts';

/** Cases of these names are compared. */
export const API_REQUESTS = {
  warmJwt: 'JWT, known to the API server',
  warmWebhook: 'webhook, token known to the API server',
  newJwt: 'JWT, new for each request',
  newWebhook: 'webhook, token new for each request',
} as const;

const CONNECTIONS = 64;
const SLICE_MS = 2_000;

/** New tokens of a slice. */
const NEW_TOKENS = 1_000;

/** A request that costs the API server little: one key of etcd that is not there. */
const PATH = '/api/v1/namespaces/default/configmaps/none';

type Server = Pick<WebhookClient, 'port' | 'sendRequest'> & { readonly pid: number };

export interface ApiSettings {
  readonly programs: KubeApiserverOptions['programs'];
  readonly folder: string;
  readonly pki: Pki;
  readonly webhook: Server;
  readonly issuer: Server;
  readonly issuerUrl: string;
  /** Makes a token that no server knows. */
  readonly issueToken: () => string;
  readonly countQuestions: () => number;
}

/** An API server, and what authenticates its users. */
interface Target {
  readonly api: KubeApiserver;
  readonly port: number;
  readonly server: Server;
  readonly column: 'webhook' | 'issuer';
}

/** Starts an API server whose RBAC lets every authenticated user read ConfigMaps. */
async function startTarget(owner: Owner, settings: ApiSettings, column: Target['column']): Promise<Target> {
  const { programs, folder, pki, webhook, issuer, issuerUrl } = settings;
  const port = await findFreePort();
  const isWebhook = column === 'webhook';
  const api = await startKubeApiserver(
    {
      programs,
      dir: join(folder, `apiserver-${column}`),
      pki,
      port,
      webhookPort: webhook.port,
      cacheSeconds: 0,
      flags: {
        ...WITHOUT_WEBHOOK_AUTHORIZATION,
        // The default of kube-apiserver.
        'authentication-token-webhook-cache-ttl': undefined,
        ...(isWebhook
          ? {}
          : {
              ...WITHOUT_WEBHOOK_AUTHENTICATION,
              ...writeIssuerFlags({ minor: readMinor(programs.version), url: issuerUrl, caFile: pki.ca, folder }),
            }),
      },
    },
    makeAdminToken(),
  );
  owner.teardown(() => api.stop());
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const metadata = { name: 'read-configmaps' };
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:authenticated' }];
  await api.request(`${rbac}/clusterroles`, { method: 'POST', body: { metadata, rules } });
  await api.request(`${rbac}/clusterrolebindings`, { method: 'POST', body: { metadata, roleRef, subjects } });
  return { api, port, server: isWebhook ? webhook : issuer, column };
}

function measure(port: number, ca: Buffer, nextToken: (connection: number) => string | undefined): Promise<LoadResult> {
  return generateLoad({
    port,
    ca,
    connections: CONNECTIONS,
    writeRequest: (token) =>
      `GET ${PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\naccept: application/json\r\n\r\n`,
    nextBody: nextToken,
    onResponse: expectText('the API server', '"reason":"NotFound"'),
  });
}

/** Starts the API servers, and makes the cases. */
export async function startApiCases(owner: Owner, settings: ApiSettings): Promise<readonly BenchCase[]> {
  const { pki, issuer, issueToken, countQuestions } = settings;
  const ca = readFileSync(pki.ca);
  const [jwt, webhook] = [await startTarget(owner, settings, 'issuer'), await startTarget(owner, settings, 'webhook')];

  async function exchange(keystoneToken: string): Promise<string> {
    const { status, body } = await postForm(issuer, makeForm(keystoneToken), '');
    if (status !== 200) throw new Error(`the issuer answered ${status}`);
    return (body as { access_token: string }).access_token;
  }

  /** Every JWT is for another Keystone token: for the same one, the issuer repeats a JWT that is a few seconds old. */
  async function makeJwts(count: number): Promise<readonly string[]> {
    const tokens = new Set<string>();
    while (tokens.size < count) {
      const size = Math.min(CONNECTIONS, count - tokens.size);
      const more = await Promise.all(Array.from({ length: size }, () => exchange(issueToken())));
      for (const token of more) {
        if (tokens.has(token)) throw new Error('the issuer gave a JWT twice');
        tokens.add(token);
      }
    }
    return [...tokens];
  }

  const makeTokens = (count: number): Promise<readonly string[]> =>
    Promise.resolve(Array.from({ length: count }, issueToken));

  function warm(name: string, target: Target, makeAll: (count: number) => Promise<readonly string[]>): BenchCase {
    let tokens: readonly string[] = [];
    return {
      name,
      pids: { 'API server': target.api.pid, [target.column]: target.server.pid },
      countQuestions,
      async prepare() {
        tokens = await makeAll(CONNECTIONS);
        const isSent = tokens.map(() => false);
        await measure(target.port, ca, (connection) => {
          if (isSent[connection] !== false) return undefined;
          isSent[connection] = true;
          return tokens[connection];
        });
      },
      measure: () =>
        measure(
          target.port,
          ca,
          forDuration(SLICE_MS, (connection) => tokens[connection]),
        ),
    };
  }

  function fresh(name: string, target: Target, makeAll: (count: number) => Promise<readonly string[]>): BenchCase {
    let tokens: string[] = [];
    return {
      name,
      pids: { 'API server': target.api.pid, [target.column]: target.server.pid },
      countQuestions,
      prepare: async () => void (tokens = [...(await makeAll(NEW_TOKENS))]),
      measure: () => measure(target.port, ca, () => tokens.pop()),
    };
  }

  const [first = ''] = await makeJwts(1);
  // Kubernetes reads the keys of an issuer after it has become ready.
  await waitUntil('the API server has read the keys of the issuer', async () => {
    const { status } = await jwt.api.request(PATH, { token: first });
    return status === 404;
  });
  return [
    warm(API_REQUESTS.warmJwt, jwt, makeJwts),
    warm(API_REQUESTS.warmWebhook, webhook, makeTokens),
    fresh(API_REQUESTS.newJwt, jwt, makeJwts),
    fresh(API_REQUESTS.newWebhook, webhook, makeTokens),
  ];
}
