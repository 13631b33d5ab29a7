/**
 * Lists the Kubernetes clusters of a project at Magnum, OpenStack's service for clusters (Container Infrastructure
 * Management API). The token goes to the origin that Keystone's catalog names, and nowhere else: links in answers are
 * not followed.
 */
import { ConfigError, PluginError } from '../../../shared/base/errors.ts';
import { isJsonObject, listAt, parseJsonObject, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { Secret } from '../../../shared/base/secret.ts';
import type { HttpClient } from '../../../shared/http/http-client.ts';
import { isPlaintextRemote, parseWebUrl } from '../../../shared/http/peer.ts';
import { trustAuthorities } from '../../../shared/http/tls-settings.ts';
import { withHttp } from '../../login/http-context.ts';
import { withToken } from '../../login/with-token.ts';
import { listServiceEndpoints } from '../service-catalog.ts';
import type { ServiceEndpoint } from '../service-catalog.ts';
import type { Session } from '../session.ts';
import { hasCertificate, parseServerUrl } from './context.ts';
import { isUsableName } from './listed-cluster.ts';
import type { ClusterList, LeftOutCluster, ListedCluster } from './listed-cluster.ts';
import { explainStatus, makeAnswerError } from './service-answer.ts';

const MAGNUM = { name: 'Magnum', setting: "Keystone's catalog" };

/** The type of the service, and its older names (OpenStack service types authority). */
const SERVICE_TYPES = ['container-infrastructure-management', 'container-infra', 'container-infrastructure'];

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Pages of the list, so that a server that repeats itself cannot keep this program busy. */
const MAX_PAGES = 50;

/** Clusters that are asked about at a time. */
const CONCURRENCY = 4;

/** A cluster in Magnum's list, which has no address. */
interface Summary {
  readonly uuid: string;
  readonly name: string;
  readonly status: string;
}

type AskMagnum = (path: string, subject: string) => Promise<JsonObject>;

function chooseEndpoint(endpoints: readonly ServiceEndpoint[], region: string | undefined): URL {
  const candidates = endpoints.filter(({ type, interface: kind }) => SERVICE_TYPES.includes(type) && kind === 'public');
  if (candidates.length === 0) {
    throw new ConfigError("Keystone's catalog has no container-infra service, so this cloud has no Magnum", {
      hint: 'see "catalog"; add clusters with --server, or from a file with --from-list',
    });
  }
  const matching = region === undefined ? candidates : candidates.filter((endpoint) => endpoint.region === region);
  const [chosen, ...others] = matching;
  const regions = [...new Set(candidates.map((endpoint) => endpoint.region))].join(', ');
  if (chosen === undefined) {
    throw new ConfigError(`Magnum is not in region "${region ?? ''}"`, {
      hint: `set --region-name to one of ${regions}`,
    });
  }
  if (others.some(({ url }) => url !== chosen.url)) {
    throw new ConfigError('Magnum is in several regions', { hint: `choose one with --region-name: ${regions}` });
  }
  const url = parseWebUrl(chosen.url);
  if (url !== undefined && !isPlaintextRemote(url)) return url;
  throw makeAnswerError(
    "the URL of Magnum in Keystone's catalog is not an https:// URL",
    'ask the operator of the cloud; the token is not sent unencrypted',
  );
}

/** The URL of version 1 without a slash at its end; the catalog names it with or without the version. */
function makeBaseUrl({ origin, pathname }: URL): string {
  const path = pathname.replace(/\/+$/, '');
  return `${origin}${path.endsWith('/v1') ? path : `${path}/v1`}`;
}

function makeAsk(http: HttpClient, base: URL, token: Secret, deadlineMs: number): AskMagnum {
  return async (path, subject) => {
    const { status, body } = await http.send({
      verb: 'GET',
      url: `${makeBaseUrl(base)}/${path}`,
      headers: { 'x-auth-token': token, accept: 'application/json' },
      peer: MAGNUM,
      // Each request has its own, because there can be many.
      deadlineMs,
    });
    if (status !== 200) throw explainStatus(status, `Magnum at ${base.origin}`, subject);
    const answer = parseJsonObject(body);
    if (answer === undefined) throw makeAnswerError(`Magnum at ${base.origin} did not answer with ${subject}`);
    return answer;
  };
}

function readSummary(value: JsonObject): Summary {
  const [uuid = '', name] = [textAt(value, 'uuid'), textAt(value, 'name')];
  if (!UUID.test(uuid)) throw makeAnswerError('Magnum lists a cluster without a UUID');
  return { uuid, name: isUsableName(name) ? name : uuid, status: textAt(value, 'status') ?? '' };
}

async function listSummaries(ask: AskMagnum): Promise<readonly Summary[]> {
  const all = new Map<string, Summary>();
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const last = [...all.keys()].at(-1);
    const answer = await ask(last === undefined ? 'clusters' : `clusters?marker=${last}`, 'the list of clusters');
    const found = listAt(answer, 'clusters').filter(isJsonObject).map(readSummary);
    const before = all.size;
    for (const summary of found) all.set(summary.uuid, summary);
    // The link itself is not followed: it could lead elsewhere.
    if (textAt(answer, 'next') === undefined || all.size === before) return [...all.values()];
  }
  throw makeAnswerError('Magnum does not end its list of clusters');
}

async function readCluster(ask: AskMagnum, { uuid, status }: Summary, name: string): Promise<ListedCluster> {
  const server = textAt(await ask(`clusters/${uuid}`, 'the cluster'), 'api_address') ?? '';
  if (server === '') {
    throw makeAnswerError(
      `it has no address yet (${status === '' ? 'its status is unknown' : status})`,
      'try again later',
    );
  }
  parseServerUrl(server, 'its address');
  const authority = textAt(await ask(`certificates/${uuid}`, 'the CA of the cluster'), 'pem') ?? '';
  if (!hasCertificate(authority)) throw makeAnswerError('its CA is not a PEM certificate');
  return { name, server, authority };
}

/** Names are not unique in Magnum; those that occur twice get the start of their UUID. */
function nameClusters(summaries: readonly Summary[]): readonly (readonly [string, Summary])[] {
  const counts = new Map<string, number>();
  for (const { name } of summaries) counts.set(name, (counts.get(name) ?? 0) + 1);
  return summaries.map((summary) => {
    const { name, uuid } = summary;
    return [counts.get(name) === 1 ? name : `${name}-${uuid.slice(0, 8)}`, summary];
  });
}

async function readAll(ask: AskMagnum): Promise<ClusterList> {
  const waiting = nameClusters(await listSummaries(ask)).entries();
  const results: (ListedCluster | LeftOutCluster)[] = [];
  const work = async (): Promise<void> => {
    // The workers share one iterator.
    for (const [index, [name, summary]] of waiting) {
      try {
        results[index] = await readCluster(ask, summary, name);
      } catch (error) {
        if (!(error instanceof PluginError)) throw error;
        results[index] = { name, error };
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return {
    clusters: results.flatMap((result) => ('error' in result ? [] : [result])),
    leftOut: results.flatMap((result) => ('error' in result ? [result] : [])),
  };
}

/**
 * Lists the clusters of the token's project.
 *
 * @throws PluginError if the catalog has no Magnum, or Magnum does not list the clusters
 */
export async function listMagnumClusters({ login, record }: Session, region: string | undefined): Promise<ClusterList> {
  const endpoints = await withToken(login, record, (ask) => listServiceEndpoints(ask, { login, record }));
  const url = chooseEndpoint(endpoints, region);
  // Magnum is not Keystone: it must have a valid certificate, and does not get the client certificate.
  return withHttp({ ...login, tls: trustAuthorities(login.tls.ca) }, login.deadlineMs, (http) =>
    readAll(makeAsk(http, url, new Secret(record.token), login.deadlineMs)),
  );
}
