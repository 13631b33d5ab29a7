/** A login with a project: if the settings have no scope, the user chooses one. */
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
import { readTokenScope } from '../keystone-entity.ts';
import { makeTokenDetailsCall } from '../session.ts';
import { chooseProject, listEnabledProjects } from './choose.ts';
import type { Project } from './choose.ts';

/** A token, and the settings that lead to it. */
export interface LoginResult {
  readonly config: ResolvedConfig;
  readonly received: ReceivedToken;
  /** The member `token` of Keystone's response; undefined for the token of an identity provider. */
  readonly tokenDetails: JsonObject | undefined;
}

const NO_PROJECT = 'you have no role on any project: the token has no scope, which k8s-keystone-auth rejects';

async function readTokenDetails(login: LoginContext, record: TokenRecord): Promise<JsonObject> {
  const body = await withToken(login, record, (ask) => ask(makeTokenDetailsCall({ login, record })));
  return objectAt(body, 'token') ?? {};
}

/** Whether the user can get a token for another project too: an application credential belongs to one project. */
function canChooseProject(tokenDetails: JsonObject): boolean {
  if (objectAt(tokenDetails, 'application_credential') !== undefined) return false;
  const isUnscoped = readTokenScope(tokenDetails).kind === 'none';
  const methods = listAt(tokenDetails, 'methods');
  return isUnscoped || methods.every((method) => typeof method === 'string' && FACTOR_BY_NAME.has(method));
}

function setProject(config: ResolvedConfig, { id, name, domainId }: Project): ResolvedConfig {
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

/** Prompts for the project, with a token without a scope or for the default project of the user. */
async function rescopeToChosenProject(
  login: LoginContext,
  config: ResolvedConfig,
  first: ReceivedToken,
  tokenDetails: JsonObject,
): Promise<LoginResult> {
  const { record } = first;
  const current = textAt(objectAt(tokenDetails, 'project'), 'id');
  const unchanged = { config, received: first, tokenDetails };
  // Without a prompt, the result is the same as that of get-token.
  if (!canChooseProject(tokenDetails) || (current !== undefined && login.user.cannotPromptReason !== undefined))
    return unchanged;
  const projects = await withToken(login, record, listEnabledProjects);
  const project = await chooseProject(projects, current, login.user);
  if (project === undefined) {
    if (current === undefined) login.reporter.warn(NO_PROJECT);
    return unchanged;
  }
  const complete = setProject(config, project);
  if (project.id === current) return { ...unchanged, config: complete };
  const user = objectAt(tokenDetails, 'user');
  const identity = {
    subject: `${textAt(user, 'name') ?? 'you'} on project ${project.name}`,
    expected: { user: { id: textAt(user, 'id') ?? '' } },
  };
  const received = await rescopeToken(login, record, { kind: 'project', id: project.id }, identity);
  return { config: complete, received, tokenDetails: await readTokenDetails(login, received.record) };
}

/**
 * Logs in with complete settings. If they have no scope, the user chooses a project.
 *
 * @throws PluginError
 */
export async function logInToProject(login: LoginContext, config: ResolvedConfig): Promise<LoginResult> {
  // The token of an identity provider has no scope.
  const isScopeOpen = resolveScope(config).kind === 'default' && !config.has('token-kind');
  const received = await requestToken(isScopeOpen ? { ...login, isInterim: true } : login, config);
  if (received.record.endpoint === undefined) return { config, received, tokenDetails: undefined };
  const tokenDetails = await readTokenDetails(login, received.record);
  return isScopeOpen
    ? rescopeToChosenProject(login, config, received, tokenDetails)
    : { config, received, tokenDetails };
}
