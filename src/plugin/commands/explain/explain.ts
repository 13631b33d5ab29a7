import { describeSources } from '../../../shared/options/option.ts';
import type { ProxyChoice } from '../../../shared/http/choose-proxy.ts';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import { describeProxy } from '../../../shared/http/proxy.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import { warnAboutSettings } from '../../login/get-token.ts';
import { captureWarnings } from '../capture-warnings.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Command, OutputData } from '../command.ts';
import { formatDuration, formatTimestamp } from '../format-time.ts';
import { renderPairs, renderTable } from '../table.ts';
import { explainLogin } from './explanation.ts';
import type { Explanation } from './explanation.ts';

function describeTls(
  { insecure, paths }: TlsSettings,
  { trustedOrigins }: Pick<Explanation, 'trustedOrigins'>,
): string {
  const client = paths.cert === undefined ? '' : `; the client certificate is ${paths.cert}`;
  if (insecure) return `certificates are not verified${client}`;
  const list = trustedOrigins === undefined ? '' : `, as ${trustedOrigins} says`;
  return `certificates must be signed by ${paths.ca ?? 'an authority of this system'}${list}${client}`;
}

function describeChoice(choice: ProxyChoice | undefined): string | undefined {
  if (choice?.proxy === undefined) return choice === undefined ? undefined : `none: ${choice.because}`;
  return `${describeProxy(choice.proxy)} (${choice.proxy.origin})`;
}

function describeCachedToken({ expiresAt, fresh }: Explanation['cache'], now: number): string {
  if (expiresAt === undefined) return 'none';
  if (!fresh) return 'a token that expires too soon to be used';
  return `a token until ${formatTimestamp(expiresAt)} (${formatDuration(expiresAt - now)} left)`;
}

function renderTables({ settings, overridden }: Explanation): string[] {
  const settingsTable = renderTable(
    ['OPTION', 'VALUE', 'FROM'],
    settings.map(({ option, value, origin }) => [option, value, origin]),
  );
  if (overridden.length === 0) return settingsTable;
  const overriddenTable = renderTable(
    ['OVERRIDDEN', 'VALUE', 'FROM', 'BY'],
    overridden.map(({ option, value, origin, by }) => [option, value, origin, by]),
  );
  return [...settingsTable, '', ...overriddenTable];
}

function listExchangePairs(
  { issuer, audience, tls, proxy, cache }: NonNullable<Explanation['exchange']>,
  explanation: Explanation,
): (readonly [string, string | undefined])[] {
  return [
    ['Issuer', `exchanges the Keystone token for a JWT for ${audience}: ${issuer}`],
    ['TLS of the issuer', describeTls(tls, explanation)],
    ['Proxy to the issuer', describeChoice(proxy)],
    ['Key of the JWT', cache.key],
    ['Cached JWT', describeCachedToken(cache, explanation.now)],
  ];
}

function render(explanation: Explanation): string[] {
  const { method, because, scope, missing, keyring, request, trustedOrigins, proxy, cache, warnings } = explanation;
  const { exchange, tls, now } = explanation;
  const { first, verb, url, headers, body } = request;
  const headerLines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const pairs = renderPairs([
    ['Method', `${method.name} (${method.summary}), ${because}`],
    ['Scope', scope],
    ['Missing', missing.map(describeSources).join(', ') || 'nothing'],
    ['From the keyring', keyring],
    ['First', first],
    ['Request', verb === undefined ? undefined : `${verb} ${url ?? ''}`],
    ['Headers', headerLines.join('; ') || undefined],
    ['Body', body],
    ['TLS', describeTls(tls, explanation)],
    ['Trusted servers', trustedOrigins === undefined ? undefined : `those in ${trustedOrigins}`],
    ['Proxy', describeChoice(proxy)],
    ['Cache key', cache.key],
    ['Cache', cache.location],
    ['Cached token', describeCachedToken(cache, now)],
    ...(exchange === undefined ? [] : listExchangePairs(exchange, explanation)),
    ...warnings.map((warning) => ['Warning', warning] as const),
  ]);
  return [...renderTables(explanation), '', ...pairs];
}

function cacheToJson({ key, storage, fresh, expiresAt }: Explanation['cache']): OutputData {
  return { key, storage, fresh, expiresAt: expiresAt === undefined ? null : formatTimestamp(expiresAt) };
}

function tlsToJson({ insecure, paths }: TlsSettings): OutputData {
  return { insecure, ca: paths.ca ?? null, cert: paths.cert ?? null, key: paths.key ?? null };
}

function exchangeToJson({ issuer, audience, tls, proxy, cache }: NonNullable<Explanation['exchange']>): OutputData {
  return {
    issuer,
    audience,
    tls: tlsToJson(tls),
    proxy: proxy.proxy === undefined ? null : describeProxy(proxy.proxy),
    cache: cacheToJson(cache),
  };
}

function explanationToJson(explanation: Explanation): OutputData {
  const { settings, overridden, method, because, scope, missing, keyring, request, tls, proxy } = explanation;
  const { cache, exchange, warnings } = explanation;
  return {
    settings: settings.map((setting) => ({ ...setting })),
    overridden: overridden.map((setting) => ({ ...setting })),
    method: { name: method.name, because },
    scope,
    missing: missing.map((option) => ({ option: option.name, set: describeSources(option) })),
    keyring: keyring ?? null,
    request: {
      first: request.first ?? null,
      verb: request.verb ?? null,
      url: request.url ?? null,
      headers: { ...request.headers },
      body: request.body ?? null,
    },
    tls: tlsToJson(tls),
    trustedOrigins: explanation.trustedOrigins ?? null,
    proxy: proxy?.proxy === undefined ? null : describeProxy(proxy.proxy),
    cache: cacheToJson(cache),
    exchange: exchange === undefined ? null : exchangeToJson(exchange),
    warnings,
  };
}

/** Shows what a login would do, without doing it. */
export const explainCommand: Command = {
  words: ['explain'],
  task: 'Find out',
  summary: 'show every setting and where it comes from, and the request that a login would send, without sending it',
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [{ line: 'explain', summary: 'show the settings, what they override, the method and the request' }],
  async run({ runContext, reporter }): Promise<CommandResult> {
    const captured = captureWarnings(reporter);
    const login = await openLoginContext({ ...runContext, reporter: captured.reporter });
    warnAboutSettings(login);
    const explanation = await explainLogin(login, captured.warnings);
    return { lines: render(explanation), data: explanationToJson(explanation) };
  },
};
