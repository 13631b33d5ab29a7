import { listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { readUnverifiedClaims } from '../../shared/oidc/jwt.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { getExchangedToken } from '../login/cluster-token.ts';
import type { TokenExchange } from '../login/token-exchange.ts';
import type { AskKeystone } from '../login/with-token.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command, OutputData } from './command.ts';
import { formatTimestamp, formatTokenEnd, secondsUntil } from './format-time.ts';
import { describeEntity, describeTokenScope, listEntityNames, readEntity } from './keystone-entity.ts';
import type { KeystoneEntity } from './keystone-entity.ts';
import { withSession, makeTokenDetailsCall } from './session.ts';
import type { Session } from './session.ts';
import { renderPairs } from './table.ts';

/** Lists the groups that k8s-keystone-auth reports by default: names of groups, and the ID of the project. */
function listClusterGroups(groups: readonly string[], project: KeystoneEntity | undefined): string[] {
  const names = [...groups, ...(project?.id == null ? [] : [project.id])];
  return [...new Set(names)].filter((name) => !name.startsWith('system:'));
}

/** The user in Keystone and in a cluster. */
interface WhoAmI {
  readonly user: KeystoneEntity | undefined;
  readonly project: KeystoneEntity | undefined;
  readonly scope: string | undefined;
  readonly roles: readonly string[];
  /** Undefined if Keystone does not list them for the user. */
  readonly groups: readonly string[] | undefined;
  readonly methods: readonly string[];
  readonly credential: JsonObject | undefined;
  readonly record: TokenRecord;
  readonly exchange: TokenExchange | undefined;
  readonly jwt: TokenRecord | undefined;
  readonly clusterUser: string | null | undefined;
  readonly clusterGroups: readonly string[];
}

async function askWhoAmI(ask: AskKeystone, session: Session): Promise<WhoAmI> {
  const tokenDetails = objectAt(await ask(makeTokenDetailsCall(session)), 'token') ?? {};
  const user = readEntity(objectAt(tokenDetails, 'user'));
  const project = readEntity(objectAt(tokenDetails, 'project'));
  const path = `users/${encodeURIComponent(user?.id ?? '')}/groups`;
  const listed = await ask({ verb: 'GET', path, resource: "its user's groups", absentOn: [403] });
  const groups = listed === undefined ? undefined : listEntityNames(listed, 'groups');
  const { exchange } = session.login;
  const jwt = exchange === undefined ? undefined : await getExchangedToken(session.login, exchange);
  const claims = jwt === undefined ? undefined : readUnverifiedClaims(jwt.token);
  return {
    user,
    project,
    scope: describeTokenScope(tokenDetails),
    roles: listEntityNames(tokenDetails, 'roles'),
    groups,
    methods: listAt(tokenDetails, 'methods').filter((method) => typeof method === 'string'),
    credential: objectAt(tokenDetails, 'application_credential'),
    record: session.record,
    exchange,
    jwt,
    clusterUser: claims === undefined ? user?.name : (claims.userName ?? claims.subject),
    clusterGroups: claims?.groups ?? listClusterGroups(groups ?? [], project),
  };
}

function toData(answer: WhoAmI, now: number): OutputData {
  const { user, project, scope, roles, groups, methods, credential, record, exchange, jwt } = answer;
  return {
    user: { ...user },
    project: project === undefined ? null : { ...project },
    scope: scope ?? null,
    roles,
    groups: groups ?? null,
    cluster: {
      username: answer.clusterUser ?? null,
      groups: answer.clusterGroups,
      issuer: exchange?.issuer.url ?? null,
      audience: exchange?.audience ?? null,
      expiresAt: jwt === undefined ? null : formatTimestamp(jwt.expiresAt),
    },
    methods,
    applicationCredential: credential === undefined ? null : (textAt(credential, 'id') ?? null),
    endpoint: record.endpoint ?? null,
    expiresAt: formatTimestamp(record.expiresAt),
    secondsLeft: secondsUntil(record.expiresAt, now),
  };
}

function render(answer: WhoAmI, now: number): readonly string[] {
  const { user, project, scope, roles, groups, methods, credential, record, exchange, jwt } = answer;
  return renderPairs([
    ['User', describeEntity(user)],
    ['Project', describeEntity(project)],
    ['Scope', scope],
    ['Roles', roles.join(', ') || 'none'],
    [
      'Groups in Keystone',
      groups === undefined ? 'unknown: Keystone does not list them for you' : groups.join(', ') || 'none',
    ],
    ['Groups in the cluster', answer.clusterGroups.join(', ') || 'none'],
    ['Logged in with', methods.join(', ')],
    ['Application credential', textAt(credential, 'name') ?? textAt(credential, 'id')],
    ['Keystone', record.endpoint],
    ['Token expires', formatTokenEnd(record.expiresAt, now)],
    ['Issuer', exchange === undefined ? undefined : `${exchange.issuer.url}, for ${exchange.audience}`],
    ['JWT expires', jwt === undefined ? undefined : formatTokenEnd(jwt.expiresAt, now)],
  ]);
}

/** Shows the owner of the token, in Keystone and in a cluster. */
export const whoamiCommand: Command = {
  words: ['whoami'],
  task: 'Find out',
  summary: 'show your user in Keystone, and your groups in a cluster that uses k8s-keystone-auth',
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [
    { line: 'whoami', summary: 'show user, project, roles, groups and when the token expires' },
    { line: 'whoami -o json', summary: 'the same for programs' },
  ],
  async run(call): Promise<CommandResult> {
    return withSession(call, async (ask, session) => {
      const answer = await askWhoAmI(ask, session);
      const now = call.host.now();
      return { lines: render(answer, now), data: toData(answer, now) };
    });
  },
};
