/** Finds out whether a request failed because its URL has the wrong one of http:// and https://. */
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { getErrorCode } from '../base/errors.ts';
import { getPort, getSocketHost } from './socket-address.ts';

/** In ms. The server has just answered or closed a connection. */
const PROBE_MS = 2_000;

/** Codes of failures that a server causes which does not understand the request. */
const SUSPICIOUS = /^(?:ECONNRESET|EPIPE|HPE_\w+)$/;

/** The same of a TLS handshake. Node has a code of its own for an HTTP response in its place. */
const SUSPICIOUS_HANDSHAKE = /^(?:ECONNRESET|EPIPE|ETIMEDOUT)$/;

/** OpenSSL's reasons for an answer that is not TLS. An alert is TLS, whatever it says. */
const TLS_ALERT = /^ERR_SSL_.*ALERT/;

function hostAndPort(url: URL): { host: string; port: number } {
  return { host: getSocketHost(url), port: getPort(url) };
}

/** Whether a server answers a TLS handshake. It gets nothing else, so it does not matter who it is. */
function answersTls(url: URL): Promise<boolean> {
  return new Promise((done) => {
    const socket = connectTls({ ...hostAndPort(url), rejectUnauthorized: false, timeout: PROBE_MS });
    const end = (isTls: boolean): void => {
      socket.destroy();
      done(isTls);
    };
    socket.once('secureConnect', () => {
      end(true);
    });
    socket.once('timeout', () => {
      end(false);
    });
    socket.once('error', (error) => {
      end(TLS_ALERT.test(getErrorCode(error)));
    });
    socket.once('close', () => {
      end(false);
    });
  });
}

/** Whether a server answers a request without a path and without TLS. */
function answersHttp(url: URL): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ ...hostAndPort(url), timeout: PROBE_MS });
    let response = '';
    const end = (): void => {
      socket.destroy();
      done(response.startsWith('HTTP/'));
    };
    socket.write(`OPTIONS * HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`);
    socket.setEncoding('latin1').on('data', (text: string) => {
      response += text;
      if (response.length >= 5) end();
    });
    socket.once('timeout', end).once('error', end).once('close', end);
  });
}

/** The failure of a request with the wrong scheme, with a code that `explainNetworkError` knows. */
class SchemeMismatch extends Error {
  readonly code: 'ERR_TLS_EXPECTED' | 'ERR_TLS_UNKNOWN';

  constructor(code: SchemeMismatch['code']) {
    super('the server speaks the other protocol');
    this.code = code;
  }
}

/** The code of the socket's error, which got wraps; a timeout counts only in the handshake. */
function getSuspiciousCode(error: unknown): string {
  const isTimeout = error instanceof Error && 'event' in error;
  if (isTimeout) return error.event === 'secureConnect' ? 'ETIMEDOUT' : '';
  return getErrorCode(error instanceof Error ? (error.cause ?? error) : error);
}

/**
 * Asks the server of a failed request whether it expects the other one of http:// and https://.
 *
 * @returns undefined if the failure has another reason
 */
export async function findSchemeMismatch(url: URL, error: unknown): Promise<SchemeMismatch | undefined> {
  const code = getSuspiciousCode(error);
  if (url.protocol === 'http:') {
    return SUSPICIOUS.test(code) && (await answersTls(url)) ? new SchemeMismatch('ERR_TLS_EXPECTED') : undefined;
  }
  return SUSPICIOUS_HANDSHAKE.test(code) && (await answersHttp(url))
    ? new SchemeMismatch('ERR_TLS_UNKNOWN')
    : undefined;
}

/** The same for status 400, with which many servers answer plain HTTP on a port for TLS. */
export async function findSchemeMismatchOfStatus(url: URL, status: number): Promise<SchemeMismatch | undefined> {
  const isSuspicious = url.protocol === 'http:' && status === 400;
  return isSuspicious && (await answersTls(url)) ? new SchemeMismatch('ERR_TLS_EXPECTED') : undefined;
}
