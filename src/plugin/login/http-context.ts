import { openHttpClient } from '../../shared/http/http-client.ts';
import type { HttpClient, HttpSettings } from '../../shared/http/http-client.ts';
import { makeProxyRule } from '../../shared/http/choose-proxy.ts';
import { readTrustedOrigins } from '../../shared/http/trusted-origins.ts';
import type { LoginContext } from './login-context.ts';

/** The settings that decide how requests are sent. */
export type HttpContext = Pick<LoginContext, 'host' | 'tls' | 'userAgent' | 'reporter'>;

/**
 * Makes the settings of an HTTP client.
 *
 * @param deadlineMs how long all its requests together may take, in ms
 */
export function makeHttpSettings({ host, tls, userAgent, reporter }: HttpContext, deadlineMs: number): HttpSettings {
  return {
    host,
    tls,
    trustedOrigins: readTrustedOrigins(host),
    chooseProxy: makeProxyRule(host),
    userAgent,
    deadlineMs,
    waitFor: reporter.waitFor,
    log: reporter.debug,
  };
}

/**
 * Opens an HTTP client for as long as `use` runs.
 *
 * @param deadlineMs how long all its requests together may take, in ms
 */
export async function withHttp<T>(
  context: HttpContext,
  deadlineMs: number,
  use: (http: HttpClient) => Promise<T>,
): Promise<T> {
  const http = await openHttpClient(makeHttpSettings(context, deadlineMs));
  try {
    return await use(http);
  } finally {
    http.close();
  }
}
