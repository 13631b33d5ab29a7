/** The request that a login would send, made without a request and without a prompt. */
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import type { Setting } from '../../../shared/options/layer.ts';
import type { Option, OptionName } from '../../config/option.ts';
import { resolveConfig } from '../../config/resolve-config.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import type { AuthRequest } from '../../../shared/keystone/auth-request.ts';
import { findV3Endpoint, replaceVersion } from '../../../shared/keystone/discovery.ts';
import { KEYSTONE } from '../../../shared/http/peer.ts';
import type { HttpClient } from '../../../shared/http/http-client.ts';
import type { HttpRequest } from '../../../shared/http/http-message.ts';
import { usesDiscovery } from '../../login/request-token.ts';
import type { LoginContext } from '../../login/login-context.ts';
import type { MethodContext } from '../../auth-methods/auth-method.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { Secret } from '../../../shared/base/secret.ts';

/** The request, or the reason why there is none to show. */
export interface RequestPreview {
  /** What happens before the request, or why there is no request to show. */
  readonly first?: string;
  readonly verb?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, secrets as `[redacted]`. */
  readonly body?: string;
  /** The scope and the owner that the token must have; absent if there is no request. */
  readonly expected?: AuthRequest['expected'];
}

/** Thrown instead of the first request or prompt. */
class NotAttempted extends Error {
  readonly step: string;

  constructor(step: string) {
    super(step);
    this.step = step;
  }
}

function refuseToSend({ verb, url, peer = KEYSTONE }: HttpRequest): Promise<never> {
  const { origin, pathname } = new URL(url);
  return Promise.reject(new NotAttempted(`${verb} ${origin}${pathname} (${peer.name})`));
}

const SENDS_NOTHING: HttpClient = { send: refuseToSend, close: () => undefined };

function refuseToPrompt(): never {
  throw new NotAttempted('the user is prompted');
}

function makeMethodContext({ host, tls }: LoginContext, endpoint: string): MethodContext {
  return {
    host,
    tls,
    http: SENDS_NOTHING,
    findV3Endpoint: () => Promise.resolve(endpoint),
    user: {
      cannotPromptReason: '"explain" does not prompt',
      requirePresence: refuseToPrompt,
      tell: refuseToPrompt,
      notify: refuseToPrompt,
      prompt: refuseToPrompt,
      promptForChoice: refuseToPrompt,
    },
    detail: () => undefined,
  };
}

/** Adds a placeholder for the answer to each prompt. */
function addPlaceholders(config: ResolvedConfig, missing: readonly Option[]): ResolvedConfig {
  const answers = missing.map(({ name, secret }): [OptionName, Setting] => [
    name,
    { value: secret ? new Secret('?') : `<${name}>`, origin: 'a prompt' },
  ]);
  return resolveConfig([...config.layers, new Map(answers)], OPTIONS);
}

/** Returns what the function returns, or the step at which it would leave this program. */
async function attempt<T>(act: () => Promise<T>): Promise<{ value: T } | { step: string }> {
  try {
    return { value: await act() };
  } catch (error) {
    if (error instanceof NotAttempted) return error;
    throw error;
  }
}

function redactHeaders(headers: AuthRequest['headers']): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]));
}

function describeRequest(request: AuthRequest, url: string, endpoint: string): RequestPreview {
  const { verb, path, version, otherKeystone, headers, body, expected } = request;
  const base =
    otherKeystone !== undefined
      ? replaceVersion(otherKeystone.url, 'v3')
      : version === undefined
        ? endpoint
        : replaceVersion(url, version);
  return {
    verb,
    url: `${base}/${path}`,
    expected,
    ...(headers === undefined ? {} : { headers: redactHeaders(headers) }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
}

async function preview(login: LoginContext, config: ResolvedConfig): Promise<RequestPreview> {
  const { method } = login;
  if (method.waitsForUser?.(config) === true) return { first: 'the user logs in elsewhere, such as in a browser' };
  const url = readAuthUrl(config);
  if (url === undefined && method.worksWithoutKeystoneUrl?.(config) !== true) {
    return { first: 'the URL of Keystone is not set' };
  }
  const options = { wantsDiscovery: usesDiscovery(config, method), warn: () => undefined };
  const discovery =
    url === undefined ? { value: '' } : await attempt(() => findV3Endpoint(SENDS_NOTHING, url, options));
  const endpoint = 'value' in discovery ? discovery.value : replaceVersion(url ?? '', 'v3');
  const request = await attempt(() => method.prepareRequest(config, makeMethodContext(login, endpoint)));
  if ('step' in request) return { first: request.step };
  if ('token' in request.value) return { first: 'nothing is sent to Keystone' };
  const { version, otherKeystone } = request.value;
  const asksVersions = 'step' in discovery && version === undefined && otherKeystone === undefined;
  return {
    ...(asksVersions ? { first: `${discovery.step}, which may name another path than /v3` } : {}),
    ...describeRequest(request.value, url ?? '', endpoint),
  };
}

/** Makes the request that a login with these settings would send after a prompt for each missing option. */
export async function previewRequest(login: LoginContext, missing: readonly Option[]): Promise<RequestPreview> {
  const lacksUrl = missing.some(({ name }) => name === 'keystone-url');
  try {
    return await preview(login, lacksUrl ? login.config : addPlaceholders(login.config, missing));
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    return { first: `the request cannot be made: ${error.message}` };
  }
}
