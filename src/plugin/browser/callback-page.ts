/**
 * The pages that the browser shows at the end. They have no scripts, load nothing and repeat nothing of the request.
 */

/** How a request to the listener ends. */
export type CallbackOutcome = 'done' | 'refused' | 'unexpected' | 'nothing';

const PAGES: Readonly<
  Record<CallbackOutcome, { readonly status: number; readonly title: string; readonly text: string }>
> = {
  done: { status: 200, title: 'Logged in', text: 'You can close this window and go back to the terminal.' },
  refused: {
    status: 200,
    title: 'Not logged in',
    text: 'The terminal shows the reason. You can close this window.',
  },
  unexpected: {
    status: 400,
    title: 'Not the current login',
    text: 'This may be an earlier login. Open the last address that the terminal shows.',
  },
  nothing: { status: 404, title: 'Not found', text: 'You can close this window.' },
};

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  // The address can contain an authorization code.
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  connection: 'close',
} as const;

/** A complete HTTP response. */
export interface CallbackPage {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Renders the page for an outcome. */
export function renderCallbackPage(outcome: CallbackOutcome): CallbackPage {
  const { status, title, text } = PAGES[outcome];
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} - client-keystone-auth</title>
<h1>${title}</h1>
<p>${text}</p>
</html>
`;
  return { status, headers: { ...HEADERS, 'content-length': String(Buffer.byteLength(body)) }, body };
}
