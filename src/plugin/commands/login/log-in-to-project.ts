/** From settings that may lack a project to a token for one, and what Keystone says of it. */
import type { OptionName } from '../../config/option.ts';
import { resolveConfig } from '../../config/resolve-config.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { resolveScope } from '../../config/resolve-scope.ts';
import type { TokenRecord } from '../../cache/token-record.ts';
import { listAt, objectAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { requestToken, rescopeToken } from '../../login/request-token.ts';
import type { ReceivedToken } from '../../login/accept-token.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { withToken } from '../../login/with-token.ts';
import { FACTOR_BY_NAME } from '../../auth-methods/multifactor.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { makeTokenDetailsCall } from '../session.ts';
import { chooseProject, readProjects } from './choose.ts';
import type { Project } from './choose.ts';

/** A token, and the settings that stand for it. */
export interface LoginResult {
  readonly config: ResolvedConfig;
  readonly received: ReceivedToken;
  /** The member `token` of what Keystone says of it; undefined for a token that Keystone does not know. */
  readonly tokenDetails: JsonObject | undefined;
}

const NO_PROJECT = 'Keystone knows no project for you: the token has no scope, which k8s-keystone-auth refuses';

async function askFacts(login: LoginContext, record: TokenRecord): Promise<JsonObject> {
  const answer = await withToken(login, record, (ask) => ask(makeTokenDetailsCall({ login, record })));
  return objectAt(answer, 'token') ?? {};
}

/** Whether who has this token may have one for another project too: a credential of a project's own has only that. */
function mayChoose(facts: JsonObject): boolean {
  if (objectAt(facts, 'application_credential') !== undefined) return false;
  const unscoped = ['project', 'domain', 'system'].every((kind) => objectAt(facts, kind) === undefined);
  const methods = listAt(facts, 'methods');
  return unscoped || methods.every((method) => typeof method === 'string' && FACTOR_BY_NAME.has(method));
}

function onProject(config: ResolvedConfig, { id, name, domainId }: Project): ResolvedConfig {
  const settings: [OptionName, string][] =
    domainId === undefined
      ? [['project-id', id]]
      : [
          ['project-name', name],
          ['project-domain-id', domainId],
        ];
  const layer = new Map(settings.map(([option, value]) => [option, { value, origin: `--${option}` }]));
  return resolveConfig([layer, ...config.layers], OPTIONS);
}

/** Has the project chosen with a token that is good for none, or for the user's default one. */
async function settleProject(
  login: LoginContext,
  config: ResolvedConfig,
  first: ReceivedToken,
  tokenDetails: JsonObject,
): Promise<LoginResult> {
  const { record } = first;
  const current = textAt(objectAt(tokenDetails, 'project'), 'id');
  const asIs = { config, received: first, tokenDetails };
  // A script gets what get-token would get.
  if (!mayChoose(tokenDetails) || (current !== undefined && login.user.cannotPromptReason !== undefined)) return asIs;
  const question = { verb: 'GET', path: 'auth/projects', resource: 'its projects' } as const;
  const projects = readProjects(await withToken(login, record, (ask) => ask(question)));
  const project = await chooseProject(projects, current, login.user);
  if (project === undefined) {
    if (current === undefined) login.reporter.warn(NO_PROJECT);
    return asIs;
  }
  const complete = onProject(config, project);
  if (project.id === current) return { ...asIs, config: complete };
  const user = objectAt(tokenDetails, 'user');
  const identity = {
    subject: `${textAt(user, 'name') ?? 'you'} on project ${project.name}`,
    expected: { user: { id: textAt(user, 'id') ?? '' } },
  };
  const received = await rescopeToken(login, record, { kind: 'project', id: project.id }, identity);
  return { config: complete, received, tokenDetails: await askFacts(login, received.record) };
}

/**
 * Logs in with complete settings; where they ask for no scope, the user chooses a project.
 *
 * @throws PluginError
 */
export async function logInToProject(login: LoginContext, config: ResolvedConfig): Promise<LoginResult> {
  // A provider's own token is good for no project.
  const open = resolveScope(config).kind === 'default' && !config.has('token-kind');
  const received = await requestToken(open ? { ...login, isInterim: true } : login, config);
  if (received.record.endpoint === undefined) return { config, received, tokenDetails: undefined };
  const tokenDetails = await askFacts(login, received.record);
  return open ? settleProject(login, config, received, tokenDetails) : { config, received, tokenDetails };
}
