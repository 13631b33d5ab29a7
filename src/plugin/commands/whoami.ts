import { listAt, objectAt, textAt } from '../../shared/base/json.ts';
import { OUTPUT } from './command.ts';
import type { Answer, Command, Data } from './command.ts';
import { describeSpan, describeTime } from './describe-time.ts';
import { describeNamed, describeTokenScope, namesIn, readNamed } from './keystone-entity.ts';
import type { Named } from './keystone-entity.ts';
import { ask, describeTokenQuestion } from './session.ts';
import { renderPairs } from './table.ts';

/** Groups as k8s-keystone-auth gives them to the cluster, unless it is told other names: their names, and the project's id. */
function listClusterGroups(groups: readonly string[], project: Named | undefined): string[] {
  const all = [...groups, ...(project?.id == null ? [] : [project.id])];
  return [...new Set(all)].filter((name) => !name.startsWith('system:'));
}

/** Says whose token it is, and who that is in a cluster. */
export const whoami: Command = {
  words: ['whoami'],
  about: 'say who you are to Keystone, and with which groups to a cluster that uses k8s-keystone-auth',
  options: [OUTPUT],
  takes: 'login',
  examples: [
    { line: 'whoami', about: 'user, project, roles, groups, and how long the token lives' },
    { line: 'whoami -o json', about: 'the same for programs' },
  ],
  async run(call): Promise<Answer> {
    return ask(call, async (question, session) => {
      const facts = objectAt(await question(describeTokenQuestion(session)), 'token') ?? {};
      const user = readNamed(objectAt(facts, 'user'));
      const project = readNamed(objectAt(facts, 'project'));
      const path = `users/${encodeURIComponent(user?.id ?? '')}/groups`;
      const groups = namesIn((await question({ verb: 'GET', path, resource: "its user's groups" })) ?? {}, 'groups');
      const roles = namesIn(facts, 'roles');
      const methods = listAt(facts, 'methods').filter((method) => typeof method === 'string');
      const credential = objectAt(facts, 'application_credential');
      const { expiresAt } = session.record;
      const leftMs = expiresAt - call.host.now();
      const clusterGroups = listClusterGroups(groups, project);
      const scope = describeTokenScope(facts);
      const data: Data = {
        user: { ...user },
        project: project === undefined ? null : { ...project },
        scope: scope ?? null,
        roles,
        groups,
        cluster: { username: user?.name ?? null, groups: clusterGroups },
        methods,
        applicationCredential: credential === undefined ? null : (textAt(credential, 'id') ?? null),
        endpoint: session.record.endpoint ?? null,
        expiresAt: describeTime(expiresAt),
        secondsLeft: Math.max(0, Math.floor(leftMs / 1000)),
      };
      const text = renderPairs([
        ['User', describeNamed(user)],
        ['Project', describeNamed(project)],
        ['Scope', scope],
        ['Roles', roles.join(', ') || 'none'],
        ['Groups in Keystone', groups.join(', ') || 'none'],
        ['Groups in the cluster', clusterGroups.join(', ') || 'none'],
        ['Logged in by', methods.join(', ')],
        ['Application credential', textAt(credential, 'name') ?? textAt(credential, 'id')],
        ['Keystone', session.record.endpoint],
        ['Token ends', `${describeTime(expiresAt)} (in ${describeSpan(leftMs)})`],
      ]);
      return { text, data };
    });
  },
};
