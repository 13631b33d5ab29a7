// A minimal browser with cookies, redirects and forms. It logs in at forms with a password field and submits other
// forms.

import { sendRequest } from './send-request.ts';
import type { ReceivedResponse } from './send-request.ts';

/** Who logs in. */
export interface BrowserUser {
  readonly name: string;
  readonly password: string;
  /** The code that the page after the password asks for. */
  readonly otp?: string;
  /** Whether the user logs in, and then does not grant what the program asks for. */
  readonly denies?: boolean;
}

/** What the user does on a login page. */
export type LoginDecision = BrowserUser | 'deny';

/** A request to an http:// address, which is that of the waiting program. */
export interface CallbackRequest {
  readonly method: string;
  readonly url: URL;
  readonly form: URLSearchParams;
  /** Sends the request. It is not sent otherwise. */
  send(): Promise<ReceivedResponse>;
}

export interface Visit {
  /** The address of the last page. */
  readonly url: URL;
  readonly page: ReceivedResponse;
  /** undefined if the visit ended on a page without a redirect or a form. */
  readonly callback: CallbackRequest | undefined;
}

interface Step {
  readonly method: string;
  readonly url: URL;
  readonly form: URLSearchParams;
}

const MAX_STEPS = 25;

/**
 * Visits an address with a new browser. It follows redirects and submits forms, and stops before a request to http://.
 *
 * @throws Error when the visit does not end
 */
export async function browse(start: string, decision: LoginDecision, ca: string): Promise<Visit> {
  // As in a browser, cookies belong to the host, whatever the port.
  const cookies = new Map<string, string>();
  let logins = 0;
  let page: ReceivedResponse | undefined;
  let step: Step = { method: 'GET', url: new URL(start), form: new URLSearchParams() };
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const current = step;
    if (page !== undefined && current.url.protocol === 'http:') {
      const { method, url, form } = current;
      return { url, page, callback: { ...current, send: () => sendRequest(url, describe(method, form, ca)) } };
    }
    const cookie = cookieHeader(cookies, current.url);
    // Apache redirects only browsers to the identity provider. It rejects other programs.
    const headers = { Accept: 'text/html', ...(cookie === '' ? {} : { Cookie: cookie }) };
    page = await sendRequest(current.url, { ...describe(current.method, current.form, ca), headers });
    storeCookies(cookies, current.url, page);
    const next = follow(current, page) ?? fillForm(current, page.body, decision);
    if (next === undefined) return { url: current.url, page, callback: undefined };
    // After a wrong password, the form appears again. This user tries only once.
    if (next.form.has('password') && ++logins > 1) return { url: current.url, page, callback: undefined };
    step = next;
  }
  throw new Error(`after ${MAX_STEPS} steps the visit has not ended, at ${step.url.href}`);
}

function describe(method: string, form: URLSearchParams, ca: string): Parameters<typeof sendRequest>[1] {
  return method === 'POST' ? { method, form, ca } : { method, ca };
}

function follow({ method, form, url }: Step, { status, headers }: ReceivedResponse): Step | undefined {
  if (status < 300 || status > 399 || headers.location === undefined) return undefined;
  const keepsMethod = status === 307 || status === 308;
  return {
    method: keepsMethod ? method : 'GET',
    url: new URL(headers.location, url),
    form: keepsMethod ? form : new URLSearchParams(),
  };
}

/** Names of the field for the user, at the providers of the tests. */
const USER_FIELDS = ['login', 'username'];

/** Buttons that grant, and that do not. */
const GRANT_FIELDS = { yes: 'accept', no: 'cancel' };

/** In the form of Dex that does not grant; the one that grants comes before it. */
const REFUSAL = /\bname="approval" value="rejected"/;

function fillForm({ url }: Step, body: string, decision: LoginDecision): Step | undefined {
  const forms = [...body.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)];
  const refusal = forms.find(([form]) => REFUSAL.test(form));
  const isRefused = decision !== 'deny' && decision.denies === true && refusal !== undefined;
  const [, head, content = ''] = (isRefused ? refusal : forms[0]) ?? [];
  if (head === undefined) return undefined;
  const form = new URLSearchParams();
  // Whether the form has a field that this browser cannot fill.
  let hasUnknownField = false;
  for (const [tag] of content.matchAll(/<input\b[^>]*>/gi)) {
    const name = attribute(tag, 'name');
    const value = attribute(tag, 'value');
    const type = attribute(tag, 'type') ?? 'text';
    if (name !== undefined) form.set(name, value ?? '');
    const isFilled = ['password', 'hidden', 'submit'].includes(type) || ['login', 'otp'].includes(name ?? '');
    hasUnknownField ||= value === undefined && !isFilled;
  }
  const user = decision === 'deny' ? undefined : decision;
  if (form.has('password')) {
    const userField = USER_FIELDS.find((name) => form.has(name)) ?? 'login';
    form.delete('password');
    form.delete(userField);
    if (user === undefined) form.set('deny', 'yes');
    else {
      form.set(userField, user.name);
      form.set('password', user.password);
    }
  }
  if (form.has('otp')) form.set('otp', user?.otp ?? '');
  const buttons = [...content.matchAll(/<(?:button|input)\b[^>]*>/gi)].map(([tag]) => attribute(tag, 'name'));
  if (buttons.includes(GRANT_FIELDS.yes)) {
    const [clicked, other] =
      user?.denies === true ? [GRANT_FIELDS.no, GRANT_FIELDS.yes] : [GRANT_FIELDS.yes, GRANT_FIELDS.no];
    form.set(clicked, 'clicked');
    form.delete(other);
  }
  if (hasUnknownField) return undefined;
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

function storeCookies(cookies: Map<string, string>, url: URL, { headers }: ReceivedResponse): void {
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
