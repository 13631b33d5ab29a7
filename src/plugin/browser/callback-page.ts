/** The pages that a browser is left with. They hold no script, load nothing, and repeat nothing of what was asked. */

/** What a browser is told. */
export type CallbackOutcome = 'done' | 'refused' | 'unexpected' | 'nothing';

const ENDINGS: Readonly<
  Record<CallbackOutcome, { readonly status: number; readonly title: string; readonly text: string }>
> = {
  done: { status: 200, title: 'Done here', text: 'You may close this window and go back to the terminal.' },
  refused: {
    status: 200,
    title: 'Not logged in',
    text: 'The terminal says why. You may close this window.',
  },
  unexpected: {
    status: 400,
    title: 'Not the login that is waited for',
    text: 'It may be an old one. Use the address that the terminal shows last.',
  },
  nothing: { status: 404, title: 'Nothing here', text: 'You may close this window.' },
};

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  // The address may hold a code.
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  connection: 'close',
} as const;

/** An answer ready to be sent. */
export interface CallbackPage {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Makes the page for an ending. */
export function renderCallbackPage(ending: CallbackOutcome): CallbackPage {
  const { status, title, text } = ENDINGS[ending];
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
