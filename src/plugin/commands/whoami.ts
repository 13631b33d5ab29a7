import { listAt, objectAt, textAt } from '../../shared/base/json.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command, OutputData } from './command.ts';
import { formatDuration, formatTimestamp } from './format-time.ts';
import { describeEntity, describeTokenScope, listEntityNames, readEntity } from './keystone-entity.ts';
import type { KeystoneEntity } from './keystone-entity.ts';
import { withSession, makeTokenDetailsCall } from './session.ts';
import { renderPairs } from './table.ts';

/** Groups as k8s-keystone-auth gives them to the cluster, unless it is told other names: their names, and the project's id. */
function listClusterGroups(groups: readonly string[], project: KeystoneEntity | undefined): string[] {
  const all = [...groups, ...(project?.id == null ? [] : [project.id])];
  return [...new Set(all)].filter((name) => !name.startsWith('system:'));
}

/** Says whose token it is, and who that is in a cluster. */
export const whoamiCommand: Command = {
  words: ['whoami'],
  summary: 'say who you are to Keystone, and with which groups to a cluster that uses k8s-keystone-auth',
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [
    { line: 'whoami', summary: 'user, project, roles, groups, and how long the token lives' },
    { line: 'whoami -o json', summary: 'the same for programs' },
  ],
  async run(call): Promise<CommandResult> {
    return withSession(call, async (question, session) => {
      const facts = objectAt(await question(makeTokenDetailsCall(session)), 'token') ?? {};
      const user = readEntity(objectAt(facts, 'user'));
      const project = readEntity(objectAt(facts, 'project'));
      const path = `users/${encodeURIComponent(user?.id ?? '')}/groups`;
      const groups = listEntityNames(
        (await question({ verb: 'GET', path, resource: "its user's groups" })) ?? {},
        'groups',
      );
      const roles = listEntityNames(facts, 'roles');
      const methods = listAt(facts, 'methods').filter((method) => typeof method === 'string');
      const credential = objectAt(facts, 'application_credential');
      const { expiresAt } = session.record;
      const leftMs = expiresAt - call.host.now();
      const clusterGroups = listClusterGroups(groups, project);
      const scope = describeTokenScope(facts);
      const data: OutputData = {
        user: { ...user },
        project: project === undefined ? null : { ...project },
        scope: scope ?? null,
        roles,
        groups,
        cluster: { username: user?.name ?? null, groups: clusterGroups },
        methods,
        applicationCredential: credential === undefined ? null : (textAt(credential, 'id') ?? null),
        endpoint: session.record.endpoint ?? null,
        expiresAt: formatTimestamp(expiresAt),
        secondsLeft: Math.max(0, Math.floor(leftMs / 1000)),
      };
      const text = renderPairs([
        ['User', describeEntity(user)],
        ['Project', describeEntity(project)],
        ['Scope', scope],
        ['Roles', roles.join(', ') || 'none'],
        ['Groups in Keystone', groups.join(', ') || 'none'],
        ['Groups in the cluster', clusterGroups.join(', ') || 'none'],
        ['Logged in by', methods.join(', ')],
        ['Application credential', textAt(credential, 'name') ?? textAt(credential, 'id')],
        ['Keystone', session.record.endpoint],
        ['Token ends', `${formatTimestamp(expiresAt)} (in ${formatDuration(leftMs)})`],
      ]);
      return { text, data };
    });
  },
};
