/**
 * The public keys of an issuer, read when they are needed and kept. Issuers change them without a word, so a key that is not
 * known is looked for, but seldom: anybody can name one.
 */
import { makeJwtVerifier } from '../../shared/oidc/jwt.ts';
import type { ExpectedJwt, JwtVerdict, JwtVerifier } from '../../shared/oidc/jwt.ts';
import { KeystoneProtocolError, PluginError } from '../../shared/base/errors.ts';
import { parseJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { HttpClient, Peer } from '../../shared/http/http-client.ts';

/** As {@link JwtVerdict}; `unknown` where the keys cannot be had now. */
export type IssuerVerdict =
  Exclude<JwtVerdict, { kind: 'no-key' }> | { readonly kind: 'unknown'; readonly reason: string };

export interface IssuerKeys {
  readonly verify: (token: string, expected: ExpectedJwt) => Promise<IssuerVerdict>;
  /** Reads them now, so that the first token need not wait; never fails. */
  readonly preload: () => Promise<void>;
}

export interface IssuerKeysSettings {
  readonly http: HttpClient;
  readonly issuer: string;
  /** A monotonic clock in ms. */
  readonly now: () => number;
  /** Takes the outcome of each reading. */
  readonly onRead: (result: 'ok' | 'failed', reason?: string) => void;
}

/** From then on they are read again beside the work, so that a key that the issuer took back does not count for long. */
const FRESH_MS = 600_000;

/** So long an issuer may be away. */
const LONGEST_MS = 3_600_000;

/** Between two readings for keys that nobody knows. */
const AGAIN_MS = 10_000;
const AFTER_FAILURE_MS = 1_000;

/** For both requests; kube-apiserver is answered within five seconds. */
const READ_MS = 4_000;

const PLACE: Peer = { name: 'the identity provider', setting: '--oidc-issuer-url' };

const protocolError = (message: string): KeystoneProtocolError => new KeystoneProtocolError('protocol', message);

/** Keeps the keys of an issuer. */
export function makeIssuerKeys({ http, issuer, now, onRead }: IssuerKeysSettings): IssuerKeys {
  let held: { readonly verify: JwtVerifier; readonly at: number } | undefined;
  let last: { readonly at: number; readonly failure: string | undefined } | undefined;
  let reading: Promise<void> | undefined;

  async function get(url: string, what: string, until: number): Promise<JsonObject> {
    const answer = await http.send({ verb: 'GET', url, peer: PLACE, isSingleUse: true, deadlineMs: until - now() });
    const body = answer.status === 200 ? parseJsonObject(answer.body) : undefined;
    if (body !== undefined) return body;
    throw protocolError(
      answer.status === 200
        ? `the identity provider's ${what} is no JSON object`
        : `the identity provider answered ${answer.status} for its ${what}`,
    );
  }

  async function read(): Promise<JwtVerifier> {
    const until = now() + READ_MS;
    const document = await get(
      `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
      'discovery document',
      until,
    );
    // OpenID Connect Discovery, 4.3: one issuer must not speak for another.
    if (textAt(document, 'issuer') !== issuer) throw protocolError('the discovery document is that of another issuer');
    const uri = textAt(document, 'jwks_uri') ?? '';
    if (!URL.canParse(uri) || new URL(uri).protocol !== 'https:') {
      throw protocolError('the discovery document names no https:// URL of keys');
    }
    const keySet = await get(uri, 'key set', until);
    try {
      return makeJwtVerifier(keySet);
    } catch {
      throw protocolError("the identity provider's key set holds no keys");
    }
  }

  async function readOnce(): Promise<void> {
    try {
      held = { verify: await read(), at: now() };
      last = { at: now(), failure: undefined };
      onRead('ok');
    } catch (error) {
      const failure = error instanceof PluginError ? error.message : 'internal error';
      last = { at: now(), failure };
      onRead('failed', failure);
    }
  }

  const readAgain = (): Promise<void> => {
    reading ??= readOnce().finally(() => {
      reading = undefined;
    });
    return reading;
  };

  /** Whether asking is decent, or somebody does already. */
  function mayRead(): boolean {
    if (reading !== undefined || last === undefined) return true;
    return now() - last.at >= (last.failure === undefined ? AGAIN_MS : AFTER_FAILURE_MS);
  }

  const isWithin = (ms: number): boolean => held !== undefined && now() - held.at < ms;

  return {
    preload: readAgain,
    async verify(token, expected) {
      if (!isWithin(LONGEST_MS) && mayRead()) await readAgain();
      if (held === undefined || !isWithin(LONGEST_MS)) return { kind: 'unknown', reason: last?.failure ?? '' };
      if (!isWithin(FRESH_MS) && mayRead()) void readAgain();
      const seen = held;
      const judged = await seen.verify(token, expected);
      if (judged.kind !== 'no-key') return judged;
      // kube-apiserver would keep a refusal, while the key may be new.
      if (!mayRead()) return { kind: 'unknown', reason: 'its key is not known, and the keys were read a moment ago' };
      await readAgain();
      if (held === seen) return { kind: 'unknown', reason: last?.failure ?? '' };
      const again = await held.verify(token, expected);
      return again.kind === 'no-key' ? { kind: 'refused', reason: 'its issuer has no such key' } : again;
    },
  };
}
