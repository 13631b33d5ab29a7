/** Makes an HTTP client for unit tests that sends nothing: it records the requests and returns prepared responses. */
import type { HttpClient } from '../../src/shared/http/http-client.ts';
import type { HttpRequest, HttpResponse } from '../../src/shared/http/http-message.ts';

/** What a server would answer. */
export interface ScriptedResponse {
  readonly status: number;
  /** With lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly setCookies?: readonly string[];
  /** An object is sent as JSON. */
  readonly body?: string | object;
  readonly respondedAt?: number;
  readonly serverAheadMs?: number;
}

/** A client and what was sent with it. */
export interface ScriptedHttp {
  readonly http: HttpClient;
  readonly requests: readonly HttpRequest[];
}

/** Makes a client that returns `responses` in their order; an Error is thrown instead. */
export function scriptHttp(...responses: readonly (ScriptedResponse | Error)[]): ScriptedHttp {
  const requests: HttpRequest[] = [];
  return {
    requests,
    http: {
      async send(request): Promise<HttpResponse> {
        const response = responses[requests.length];
        requests.push(request);
        if (response === undefined) throw new Error(`no response is prepared for ${request.verb} ${request.url}`);
        if (response instanceof Error) throw response;
        const { status, headers = {}, setCookies = [], body = '', respondedAt = 0, serverAheadMs = 0 } = response;
        return {
          status,
          header: (name) => headers[name],
          setCookies,
          body: typeof body === 'string' ? body : JSON.stringify(body),
          respondedAt,
          serverAheadMs,
        };
      },
      close: () => undefined,
    },
  };
}
