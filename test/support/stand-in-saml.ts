/**
 * A stand-in of Keystone's web server and of a SAML identity provider on loopback, for answers that real ones cannot be made
 * to send. The test with real ones, test/auth-methods/v3samlpassword.test.ts, defines how they behave.
 */
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { waitForClients } from '../../scripts/lib/patient-server.ts';
import { handleRequest } from './handle-request.ts';
import { listenForTest } from './listen-for-test.ts';

export const SOAP = 'http://schemas.xmlsoap.org/soap/envelope/';
export const ECP = 'urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp';
const PAOS = 'urn:liberty:paos:2003-08';
const SAML_PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol';
const TOKEN = 'gAAAAABtoken-of-the-stand-in';

export interface SamlResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
}

export interface SamlRequest {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The four requests of a login, in this order. */
export interface SamlAnswers {
  /** The request for the resource, without a session. */
  request: SamlResponse;
  provider: SamlResponse;
  consumer: SamlResponse;
  /** The request for the resource, with a session. */
  resource: SamlResponse;
}

export interface StandInSaml {
  /** Of Keystone, without `/v3`. */
  readonly url: string;
  readonly providerUrl: string;
  readonly consumerUrl: string;
  readonly answers: SamlAnswers;
  /** The requests so far, to both servers. */
  readonly requests: readonly SamlRequest[];
  listRequests(): readonly string[];
}

/** What the web server asks for. The prefixes are only known to the envelope, as with mod_auth_mellon. */
export function makeRequestEnvelope(consumerUrl: string, blocks?: string): string {
  const relayState =
    '<e:RelayState s:mustUnderstand="1" s:actor="http://schemas.xmlsoap.org/soap/actor/next">a&amp;b</e:RelayState>';
  const request = `<p:Request responseConsumerURL="${consumerUrl}" service="${ECP}" s:mustUnderstand="1"/>`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<s:Envelope xmlns:s="${SOAP}" xmlns:p="${PAOS}" xmlns:e="${ECP}" xmlns:q="${SAML_PROTOCOL}">` +
    `<s:Header>${blocks ?? request + relayState}</s:Header><s:Body>\n  <q:AuthnRequest ID="_1"   Version='2.0' AssertionConsumerServiceURL="${consumerUrl}">ä<!-- kept --></q:AuthnRequest></s:Body></s:Envelope>`
  );
}

/** What the provider says, with text that another serializer would write in another way. */
export const SIGNED = `<q:Response ID="_2"   Version='2.0'\n><x a='"' b="&#x41;">é😀<![CDATA[<]]>\n</x ></q:Response>`;

/** @param message the content of the body; by default a response */
export function makeProviderEnvelope(consumerUrl: string, message: string = SIGNED): string {
  return (
    `<s:Envelope xmlns:s="${SOAP}" xmlns:q="${SAML_PROTOCOL}"><s:Header>` +
    `<e:Response xmlns:e="${ECP}" s:mustUnderstand="1" AssertionConsumerServiceURL="${consumerUrl}"/></s:Header>\n` +
    `<s:Body>${message}</s:Body></s:Envelope>\n`
  );
}

function makeTokenResponse(): SamlResponse {
  const now = Date.now();
  const user = { id: 'u1', name: 'alice', domain: { id: 'Federated', name: 'Federated' } };
  const token = {
    methods: ['saml2'],
    user,
    audit_ids: ['a'],
    issued_at: new Date(now).toISOString(),
    expires_at: new Date(now + 3_600_000).toISOString(),
  };
  const headers = { 'content-type': 'application/json', 'x-subject-token': TOKEN };
  return { status: 201, headers, body: JSON.stringify({ token }) };
}

/** Servers of both kinds in one, without a state: the session is made of what the provider got. */
export function answerSamlRequest(
  {
    line,
    headers,
    body,
  }: Pick<SamlRequest, 'line' | 'body'> & {
    readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  },
  origin: string,
): SamlResponse | undefined {
  if (headers['paos'] !== undefined) {
    return {
      headers: { 'content-type': 'application/vnd.paos+xml' },
      body: makeRequestEnvelope(`${origin}/saml/paos`),
    };
  }
  const type = [headers['content-type']].flat().join();
  if (type.startsWith('text/xml')) {
    const [, consumerUrl = ''] = / AssertionConsumerServiceURL="([^"]*)"/.exec(body) ?? [];
    const [, pair = ''] = /^Basic (.*)$/.exec([headers['authorization']].flat().join()) ?? [];
    const user = Buffer.from(pair, 'base64').toString().replace(/:.*/s, '');
    const statement = Buffer.from(`${origin} ${line} ${user}`).toString('base64url');
    return {
      headers: { 'content-type': 'text/xml' },
      body: makeProviderEnvelope(consumerUrl, `<q:Response id="${statement}"/>`),
    };
  }
  if (!type.startsWith('application/vnd.paos+xml')) return undefined;
  const [, session = ''] = /<q:Response id="([^"]*)"/.exec(body) ?? [];
  return { headers: { 'set-cookie': [`session=${session}`] } };
}

async function listen(t: Test, answer: (request: SamlRequest) => SamlResponse): Promise<string> {
  const server = createServer((request, response) => {
    handleRequest(t, request, response, async () => {
      const line = `${request.method ?? ''} ${request.url ?? ''}`;
      const {
        status = 200,
        headers = {},
        body = '',
      } = answer({ line, headers: request.headers, body: await text(request) });
      response.writeHead(status, headers as Record<string, string>).end(body);
    });
  });
  waitForClients(server);
  const port = await listenForTest(t, server);
  return `http://127.0.0.1:${port}`;
}

/** Starts both servers on 127.0.0.1. They stop after the test. */
export async function startStandInSaml(t: Test): Promise<StandInSaml> {
  const requests: SamlRequest[] = [];
  const state: { answers?: SamlAnswers } = {};
  const answerAs =
    (choose: (request: SamlRequest) => keyof SamlAnswers) =>
    (request: SamlRequest): SamlResponse => {
      requests.push(request);
      return state.answers?.[choose(request)] ?? { status: 500 };
    };
  const url = await listen(
    t,
    answerAs(({ line, headers }) => {
      if (line.startsWith('POST')) return 'consumer';
      return headers.cookie === undefined ? 'request' : 'resource';
    }),
  );
  const providerUrl = await listen(
    t,
    answerAs(() => 'provider'),
  );
  const consumerUrl = `${url}/saml/paos?a=1&amp;b=2`;
  const answers: SamlAnswers = {
    request: { headers: { 'content-type': 'application/vnd.paos+xml' }, body: makeRequestEnvelope(consumerUrl) },
    provider: { headers: { 'content-type': 'text/xml' }, body: makeProviderEnvelope(consumerUrl) },
    consumer: {
      status: 303,
      headers: { location: `${url}/elsewhere`, 'set-cookie': ['session=s1; Path=/; HttpOnly'] },
    },
    resource: makeTokenResponse(),
  };
  state.answers = answers;
  return {
    ...{ url, providerUrl: `${providerUrl}/ecp`, consumerUrl, answers, requests },
    listRequests: () => requests.map(({ line }) => line),
  };
}
