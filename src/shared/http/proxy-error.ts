/** Why a proxy did not open a connection: codes for {@link explainNetworkError}. */
type ProxyErrorCode =
  | 'ERR_PROXY_UNREACHABLE'
  | 'ERR_PROXY_UNKNOWN'
  | 'ERR_PROXY_TUNNEL'
  | 'ERR_PROXY_CREDENTIALS'
  | 'ERR_PROXY_RESPONSE'
  | 'ERR_PROXY_TIMEOUT'
  | 'ERR_PROXY_TLS';

/** A proxy answers after it has connected to the server, in ms. */
export const RESPONSE_MS = 10_000;

/** Makes an error with a code that {@link explainNetworkError} knows. */
export function makeProxyError(code: ProxyErrorCode, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code });
}
