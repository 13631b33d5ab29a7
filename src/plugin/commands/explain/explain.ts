import { resolveCacheFolder } from '../../cache/cache-folder.ts';
import { isSecretSaved } from '../../cache/saved-secret.ts';
import { isFresh } from '../../cache/token-record.ts';
import { describeSources } from '../../../shared/options/option.ts';
import { readProxyEnv } from '../../../shared/http/proxy.ts';
import { resolveScope } from '../../config/resolve-scope.ts';
import { describeScope } from '../../../shared/keystone/scope.ts';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import { identifySavedSecret } from '../../login/apply-saved-secret.ts';
import { openLoginContext, readCacheStorage, warnAboutSettings } from '../../login/open-login-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { chooseMethodWithReason } from '../../auth-methods/choose-method.ts';
import { findMissingOptions } from '../../auth-methods/missing-options.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Command, OutputData } from '../command.ts';
import { formatDuration, formatTimestamp } from '../format-time.ts';
import { describeProxy } from '../find-proxy.ts';
import { previewRequest } from './preview-request.ts';
import type { RequestPreview } from './preview-request.ts';
import { listOverriddenSettings, listSettings } from '../list-settings.ts';
import { renderPairs, renderTable } from '../table.ts';

function describeTls({ insecure, paths }: TlsSettings): string {
  const client = paths.cert === undefined ? '' : `; the certificate in ${paths.cert} is shown`;
  if (insecure) return `certificates are not checked${client}`;
  return `certificates must be signed by ${paths.ca ?? 'an authority of this system'}${client}`;
}

function describeWay({ host }: LoginContext): string | undefined {
  const { https_proxy: proxy, no_proxy: without } = readProxyEnv(host.env);
  if (proxy === undefined) return undefined;
  return `${describeProxy(new URL(proxy))} for https${without === undefined ? '' : `, except for ${without}`}`;
}

function describeAsked({ config }: LoginContext, { expected }: RequestPreview): string {
  if (expected !== undefined && expected.scope === undefined) return 'what the credential itself is for';
  return describeScope(expected?.scope ?? resolveScope(config));
}

function describeRecord(expiresAt: number | undefined, fresh: boolean, now: number): string {
  if (expiresAt === undefined) return 'nothing';
  const left = formatDuration(expiresAt - now);
  return fresh ? `a token until ${formatTimestamp(expiresAt)} (${left} left)` : 'a token that is not given any more';
}

function describeRequest({ first, verb, url, headers, body }: RequestPreview): OutputData {
  return { first: first ?? null, verb: verb ?? null, url: url ?? null, headers: { ...headers }, body: body ?? null };
}

async function explainLogin(login: LoginContext, warnings: readonly string[]): Promise<CommandResult> {
  const { config, method, host, cacheKey, cache, tls } = login;
  const storage = readCacheStorage(config);
  const { because } = chooseMethodWithReason(config);
  const missing = findMissingOptions(config, method);
  const identity = missing.length === 0 ? undefined : identifySavedSecret(login, config);
  const keyring = identity !== undefined && isSecretSaved(host, identity) ? identity.description : undefined;
  const request = await previewRequest(login, missing);
  const found = await cache.read(cacheKey);
  const fresh = found !== undefined && isFresh(found.record, host.now());
  const settings = listSettings(config, OPTIONS);
  const overridden = listOverriddenSettings(config, OPTIONS);
  const scope = describeAsked(login, request);
  const proxy = describeWay(login);
  const place = storage === 'file' ? (resolveCacheFolder(host)?.path ?? 'nowhere') : storage;
  const sent = request.verb === undefined ? undefined : `${request.verb} ${request.url ?? ''}`;
  const headers = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const pairs = renderPairs([
    ['Method', `${method.name} (${method.summary}), ${because}`],
    ['Scope', scope],
    ['Missing', missing.map(describeSources).join(', ') || 'nothing'],
    ['From the keyring', keyring],
    ['First', request.first],
    ['Request', sent],
    ['Headers', headers.join('; ') || undefined],
    ['Body', request.body],
    ['TLS', describeTls(tls)],
    ['Proxy', proxy],
    ['Cache key', cacheKey],
    ['Kept in', place],
    ['Kept there', describeRecord(found?.record.expiresAt, fresh, host.now())],
    ...warnings.map((warning) => ['Warning', warning] as const),
  ]);
  const tables = [
    renderTable(
      ['OPTION', 'VALUE', 'FROM'],
      settings.map(({ option, value, origin }) => [option, value, origin]),
    ),
    ...(overridden.length === 0
      ? []
      : [
          renderTable(
            ['OVERRIDDEN', 'VALUE', 'FROM', 'BY'],
            overridden.map(({ option, value, origin, by }) => [option, value, origin, by]),
          ),
        ]),
  ];
  return {
    text: [...tables, pairs].join('\n\n'),
    data: {
      settings: settings.map((setting) => ({ ...setting })),
      overridden: overridden.map((setting) => ({ ...setting })),
      method: { name: method.name, because },
      scope,
      missing: missing.map((option) => ({ option: option.name, set: describeSources(option) })),
      keyring: keyring ?? null,
      request: describeRequest(request),
      tls: {
        insecure: tls.insecure,
        ca: tls.paths.ca ?? null,
        cert: tls.paths.cert ?? null,
        key: tls.paths.key ?? null,
      },
      proxy: proxy ?? null,
      cache: {
        key: cacheKey,
        storage,
        fresh,
        expiresAt: found === undefined ? null : formatTimestamp(found.record.expiresAt),
      },
      warnings,
    },
  };
}

/** Says what a login would do, and why, without doing any of it. */
export const explainCommand: Command = {
  words: ['explain'],
  summary: 'show every setting with where it comes from, and the request that a login would send; nothing is sent',
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [{ line: 'explain', summary: 'settings, what they override, the method and the request' }],
  async run(call): Promise<CommandResult> {
    const warnings: string[] = [];
    const warn = (message: string): void => {
      warnings.push(message);
    };
    const login = await openLoginContext({ ...call.runContext, reporter: { ...call.reporter, warn } });
    warnAboutSettings(login);
    return explainLogin(login, warnings);
  },
};
