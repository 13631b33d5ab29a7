/** The request that a login would send, made without anything being sent and without anybody being asked. */
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import type { Setting } from '../../../shared/options/layer.ts';
import type { Option, OptionName } from '../../config/option.ts';
import { resolveConfig } from '../../config/resolve-config.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import type { AuthRequest } from '../../../shared/keystone/auth-request.ts';
import { findV3Endpoint, replaceVersion } from '../../../shared/keystone/discovery.ts';
import { KEYSTONE } from '../../../shared/http/http-client.ts';
import type { HttpClient, HttpRequest } from '../../../shared/http/http-client.ts';
import { usesDiscovery } from '../../login/request-token.ts';
import type { LoginContext } from '../../login/login-context.ts';
import type { MethodContext } from '../../auth-methods/auth-method.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { Secret } from '../../../shared/base/secret.ts';

/** What would be sent, or why that cannot be said. */
export interface RequestPreview {
  /** What is asked before, or why there is no request to show; in words. */
  readonly first?: string;
  readonly verb?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, secrets as `[redacted]`. */
  readonly body?: string;
  /** What the token shall be good for; absent where there is no request to tell. */
  readonly expected?: AuthRequest['expected'];
}

/** Thrown in place of the first thing that would leave this program. */
class NotDone extends Error {
  readonly said: string;

  constructor(said: string) {
    super(said);
    this.said = said;
  }
}

function refuseToSend({ verb, url, peer = KEYSTONE }: HttpRequest): Promise<never> {
  const { origin, pathname } = new URL(url);
  return Promise.reject(new NotDone(`${verb} ${origin}${pathname} (${peer.name})`));
}

const DEAF: HttpClient = { send: refuseToSend, close: () => undefined };

const NOT_ASKED = 'a person is asked';

function refuseToAsk(): never {
  throw new NotDone(NOT_ASKED);
}

function makeTools({ host, tls }: LoginContext, endpoint: string): MethodContext {
  return {
    host,
    tls,
    http: DEAF,
    findV3Endpoint: () => Promise.resolve(endpoint),
    user: {
      cannotPromptReason: 'nobody is asked',
      requirePresence: refuseToAsk,
      notify: refuseToAsk,
      prompt: refuseToAsk,
      promptForChoice: refuseToAsk,
    },
    detail: () => undefined,
  };
}

/** As if each had been answered; what would be typed has no value to show. */
function fillIn(config: ResolvedConfig, missing: readonly Option[]): ResolvedConfig {
  const answers = missing.map(({ name, secret }): [OptionName, Setting] => [
    name,
    { value: secret ? new Secret('?') : `<${name}>`, origin: 'a prompt' },
  ]);
  return resolveConfig([...config.layers, new Map(answers)], OPTIONS);
}

async function catchNotDone<T>(act: () => Promise<T>): Promise<{ value: T } | { said: string }> {
  try {
    return { value: await act() };
  } catch (error) {
    if (error instanceof NotDone) return error;
    throw error;
  }
}

function showHeaders(headers: AuthRequest['headers']): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]));
}

function showRequest(request: AuthRequest, url: string, endpoint: string): RequestPreview {
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
    ...(headers === undefined ? {} : { headers: showHeaders(headers) }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
}

async function imagine(login: LoginContext, config: ResolvedConfig): Promise<RequestPreview> {
  const { method } = login;
  if (method.waitsForUser) return { first: 'a person logs in elsewhere, such as in a browser' };
  const url = readAuthUrl(config);
  if (url === undefined && method.worksWithoutKeystoneUrl?.(config) !== true) {
    return { first: 'Keystone is not known yet' };
  }
  const options = { wantsDiscovery: usesDiscovery(config, method), warn: () => undefined };
  const found = url === undefined ? { value: '' } : await catchNotDone(() => findV3Endpoint(DEAF, url, options));
  const endpoint = 'value' in found ? found.value : replaceVersion(url ?? '', 'v3');
  const made = await catchNotDone(() => method.prepareRequest(config, makeTools(login, endpoint)));
  if ('said' in made) return { first: made.said };
  if ('token' in made.value) return { first: 'nothing is sent to Keystone' };
  const asksVersions = 'said' in found && made.value.version === undefined && made.value.otherKeystone === undefined;
  return {
    ...(asksVersions ? { first: `${found.said}, which may tell another path than /v3` } : {}),
    ...showRequest(made.value, url ?? '', endpoint),
  };
}

/** Makes the request that a login with these settings would send, `missing` being asked for. */
export async function previewRequest(login: LoginContext, missing: readonly Option[]): Promise<RequestPreview> {
  const unknown = missing.some(({ name }) => name === 'keystone-url');
  try {
    return await imagine(login, unknown ? login.config : fillIn(login.config, missing));
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    return { first: `it cannot be made: ${error.message}` };
  }
}
