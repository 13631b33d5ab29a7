// The least that a browser does: cookies, redirects, forms. A script stands for the person at it, who logs in wherever
// asked for a password, and otherwise presses the button that is there.

import { sendRequest } from './send-request.ts';
import type { ReceivedResponse } from './send-request.ts';

/** What the person does at a login page. */
export type LoginDecision = { readonly name: string; readonly password: string } | 'deny';

/** A request to plain http: on the web that is where the program waits that sent the person here. */
export interface CallbackRequest {
  readonly method: string;
  readonly url: URL;
  readonly form: URLSearchParams;
  /** Sends it; else nothing has been sent. */
  send(): Promise<ReceivedResponse>;
}

export interface Visit {
  /** Of the last page. */
  readonly url: URL;
  readonly page: ReceivedResponse;
  /** Undefined where it ended on a page without a way on. */
  readonly callback: CallbackRequest | undefined;
}

interface Step {
  readonly method: string;
  readonly url: URL;
  readonly form: URLSearchParams;
}

const stepLimit = 25;

/**
 * Visits an address with a new browser and goes on as long as there is a redirect or a form, at most to plain http.
 * @throws where there is no end
 */
export async function browse(start: string, conduct: LoginDecision, ca: string): Promise<Visit> {
  // As in a browser, cookies are the host's, whatever its port.
  const cookies = new Map<string, string>();
  let logins = 0;
  let page: ReceivedResponse | undefined;
  let step: Step = { method: 'GET', url: new URL(start), form: new URLSearchParams() };
  for (let steps = 0; steps < stepLimit; steps++) {
    const current = step;
    if (page !== undefined && current.url.protocol === 'http:') {
      const { method, url, form } = current;
      return { url, page, callback: { ...current, send: () => sendRequest(url, describe(method, form, ca)) } };
    }
    const cookie = cookieHeader(cookies, current.url);
    // Apache refuses a program at once, but sends a browser to the identity provider.
    const headers = { Accept: 'text/html', ...(cookie === '' ? {} : { Cookie: cookie }) };
    page = await sendRequest(current.url, { ...describe(current.method, current.form, ca), headers });
    keepCookies(cookies, current.url, page);
    const next = follow(current, page) ?? fillForm(current, page.body, conduct);
    if (next === undefined) return { url: current.url, page, callback: undefined };
    // A wrong password brings the form again; a person gives up at some time, and this one at once.
    if (next.form.has('password') && ++logins > 1) return { url: current.url, page, callback: undefined };
    step = next;
  }
  throw new Error(`after ${stepLimit} steps still on the way, at ${step.url.href}`);
}

function describe(method: string, form: URLSearchParams, ca: string): Parameters<typeof sendRequest>[1] {
  return method === 'POST' ? { method, form, ca } : { method, ca };
}

function follow({ method, form, url }: Step, { status, headers }: ReceivedResponse): Step | undefined {
  if (status < 300 || status > 399 || headers.location === undefined) return undefined;
  const keeps = status === 307 || status === 308;
  return {
    method: keeps ? method : 'GET',
    url: new URL(headers.location, url),
    form: keeps ? form : new URLSearchParams(),
  };
}

function fillForm({ url }: Step, body: string, conduct: LoginDecision): Step | undefined {
  const [, head, content = ''] = /<form\b([^>]*)>(.*?)<\/form>/is.exec(body) ?? [];
  if (head === undefined) return undefined;
  const form = new URLSearchParams();
  // Asks for something that nobody here knows.
  let open = false;
  for (const [tag] of content.matchAll(/<input\b[^>]*>/gi)) {
    const name = attribute(tag, 'name');
    const value = attribute(tag, 'value');
    if (name !== undefined) form.set(name, value ?? '');
    open ||= value === undefined && attribute(tag, 'type') !== 'password' && name !== 'login';
  }
  if (form.has('password')) {
    form.delete('password');
    form.delete('login');
    if (conduct === 'deny') form.set('deny', 'yes');
    else {
      form.set('login', conduct.name);
      form.set('password', conduct.password);
    }
  }
  if (open) return undefined;
  const action = attribute(head, 'action') ?? '';
  const method = (attribute(head, 'method') ?? 'get').toUpperCase();
  const target = new URL(action === '' ? url.href : action, url);
  if (method === 'GET') target.search = form.toString();
  return { method, url: target, form };
}

function attribute(tag: string, name: string): string | undefined {
  const [, quoted, single, bare] = new RegExp(`\\b${name}=(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(tag) ?? [];
  const value = quoted ?? single ?? bare;
  return value
    ?.replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

function keepCookies(cookies: Map<string, string>, url: URL, { headers }: ReceivedResponse): void {
  for (const line of headers['set-cookie'] ?? []) {
    const [pair = '', ...rest] = line.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const settings = new Map(rest.map((part) => [part.split('=')[0]?.toLowerCase(), part.split('=')[1] ?? '']));
    const key = JSON.stringify([url.hostname, settings.get('path') ?? '/', name]);
    const expires = Date.parse(settings.get('expires') ?? '');
    if (expires <= Date.now() || settings.get('max-age') === '0') cookies.delete(key);
    else cookies.set(key, pair);
  }
}

function cookieHeader(cookies: Map<string, string>, url: URL): string {
  return [...cookies]
    .filter(([key]) => {
      const [host, path] = JSON.parse(key) as [string, string];
      return host === url.hostname && `${url.pathname}/`.startsWith(path.endsWith('/') ? path : `${path}/`);
    })
    .map(([, pair]) => pair)
    .join('; ');
}
