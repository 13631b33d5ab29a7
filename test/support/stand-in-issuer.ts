// A stand-in issuer on loopback for tokens that a real provider does not issue: the test has its keys.

import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { Test } from 'tap';
import type { Pki } from '../../scripts/lib/pki.ts';
import { waitForClients } from '../../scripts/lib/patient-server.ts';
import { listenForTest } from './listen-for-test.ts';

export interface IssuerKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface StandInIssuer {
  readonly url: string;
  /** The paths of all requests. */
  readonly requestedPaths: readonly string[];
  /** The published keys. */
  keys: readonly IssuerKey[];
  /** Other responses, by path. */
  responses: Readonly<Record<string, { readonly status: number; readonly body: string; readonly location?: string }>>;
  /** The paths whose requests are never answered. */
  silentPaths: readonly string[];
  /** Takes each response and decides when it is sent. */
  holdBack: (respond: () => void) => void;
}

export const DISCOVERY_PATH = '/.well-known/openid-configuration';
export const JWKS_PATH = '/keys';

export function makeIssuerKey(kid: string): IssuerKey {
  return { kid, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) };
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Makes a JWT that is signed with RS256. */
export function signJwt(claims: object, key: IssuerKey, header: object = {}): string {
  const signingInput = `${encode({ alg: 'RS256', typ: 'JWT', kid: key.kid, ...header })}.${encode(claims)}`;
  return `${signingInput}.${sign('sha256', Buffer.from(signingInput), key.privateKey).toString('base64url')}`;
}

/** Makes a JWT that is signed with a shared secret, or not signed. */
export function forgeJwt(claims: object, header: object, secret?: string | Buffer): string {
  const signingInput = `${encode(header)}.${encode(claims)}`;
  const mac = secret === undefined ? '' : createHmac('sha256', secret).update(signingInput).digest('base64url');
  return `${signingInput}.${mac}`;
}

/** Starts a stand-in on 127.0.0.1 that stops after the test. */
export async function startStandInIssuer(t: Test, pki: Pki, keys: readonly IssuerKey[]): Promise<StandInIssuer> {
  const requestedPaths: string[] = [];
  const tls = { cert: readFileSync(pki.server.cert), key: readFileSync(pki.server.key) };
  const server = createServer(tls, (request, response) => {
    const path = request.url ?? '';
    requestedPaths.push(path);
    if (issuer.silentPaths.includes(path)) return;
    const { status, body, location } = issuer.responses[path] ?? { status: 200, body: makeBody(path) };
    issuer.holdBack(() => {
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(location === undefined ? {} : { location }),
      });
      response.end(body);
    });
  });
  waitForClients(server);
  const port = await listenForTest(t, server);
  const url = `https://127.0.0.1:${port}`;
  const makeBody = (path: string): string => {
    if (path === DISCOVERY_PATH) return JSON.stringify({ issuer: url, jwks_uri: url + JWKS_PATH });
    const jwks = issuer.keys.map(({ kid, publicKey }) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid,
      use: 'sig',
      alg: 'RS256',
    }));
    return JSON.stringify({ keys: jwks });
  };
  const issuer: StandInIssuer = {
    url,
    requestedPaths,
    keys,
    responses: {},
    silentPaths: [],
    holdBack: (respond) => {
      respond();
    },
  };
  return issuer;
}
