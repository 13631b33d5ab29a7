import { listAt, objectAt, textAt } from '../../shared/base/json.ts';
import { readUnverifiedClaims } from '../../shared/oidc/jwt.ts';
import { getExchangedToken } from '../login/cluster-token.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command, OutputData } from './command.ts';
import { formatTimestamp, formatTokenEnd, secondsUntil } from './format-time.ts';
import { describeEntity, describeTokenScope, listEntityNames, readEntity } from './keystone-entity.ts';
import type { KeystoneEntity } from './keystone-entity.ts';
import { withSession, makeTokenDetailsCall } from './session.ts';
import { renderPairs } from './table.ts';

/** Lists the groups that k8s-keystone-auth reports by default: names of groups, and the id of the project. */
function listClusterGroups(groups: readonly string[], project: KeystoneEntity | undefined): string[] {
  const names = [...groups, ...(project?.id == null ? [] : [project.id])];
  return [...new Set(names)].filter((name) => !name.startsWith('system:'));
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
      const tokenDetails = objectAt(await ask(makeTokenDetailsCall(session)), 'token') ?? {};
      const user = readEntity(objectAt(tokenDetails, 'user'));
      const project = readEntity(objectAt(tokenDetails, 'project'));
      const path = `users/${encodeURIComponent(user?.id ?? '')}/groups`;
      const listed = await ask({ verb: 'GET', path, resource: "its user's groups", absentOn: [403] });
      const groups = listed === undefined ? undefined : listEntityNames(listed, 'groups');
      const roles = listEntityNames(tokenDetails, 'roles');
      const methods = listAt(tokenDetails, 'methods').filter((method) => typeof method === 'string');
      const credential = objectAt(tokenDetails, 'application_credential');
      const { expiresAt } = session.record;
      const now = call.host.now();
      const { exchange } = session.login;
      const jwt = exchange === undefined ? undefined : await getExchangedToken(session.login, exchange);
      const claims = jwt === undefined ? undefined : readUnverifiedClaims(jwt.token);
      const clusterUser = claims === undefined ? user?.name : (claims.userName ?? claims.subject);
      const clusterGroups = claims?.groups ?? listClusterGroups(groups ?? [], project);
      const scope = describeTokenScope(tokenDetails);
      const data: OutputData = {
        user: { ...user },
        project: project === undefined ? null : { ...project },
        scope: scope ?? null,
        roles,
        groups: groups ?? null,
        cluster: {
          username: clusterUser ?? null,
          groups: clusterGroups,
          issuer: exchange?.issuer.url ?? null,
          audience: exchange?.audience ?? null,
          expiresAt: jwt === undefined ? null : formatTimestamp(jwt.expiresAt),
        },
        methods,
        applicationCredential: credential === undefined ? null : (textAt(credential, 'id') ?? null),
        endpoint: session.record.endpoint ?? null,
        expiresAt: formatTimestamp(expiresAt),
        secondsLeft: secondsUntil(expiresAt, now),
      };
      const lines = renderPairs([
        ['User', describeEntity(user)],
        ['Project', describeEntity(project)],
        ['Scope', scope],
        ['Roles', roles.join(', ') || 'none'],
        [
          'Groups in Keystone',
          groups === undefined ? 'unknown: Keystone does not list them for you' : groups.join(', ') || 'none',
        ],
        ['Groups in the cluster', clusterGroups.join(', ') || 'none'],
        ['Logged in with', methods.join(', ')],
        ['Application credential', textAt(credential, 'name') ?? textAt(credential, 'id')],
        ['Keystone', session.record.endpoint],
        ['Token expires', formatTokenEnd(expiresAt, now)],
        ['Issuer', exchange === undefined ? undefined : `${exchange.issuer.url}, for ${exchange.audience}`],
        ['JWT expires', jwt === undefined ? undefined : formatTokenEnd(jwt.expiresAt, now)],
      ]);
      return { lines, data };
    });
  },
};
