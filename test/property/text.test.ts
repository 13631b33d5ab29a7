/** Text that goes to a terminal, a log, a shell or a server, whatever it contains. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { inspect } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { quoteAlways, quoteForShell } from '../../src/plugin/commands/quote-for-shell.ts';
import { PluginError } from '../../src/shared/base/errors.ts';
import { redact, Secret } from '../../src/shared/base/secret.ts';
import { makePrintable } from '../../src/shared/base/terminal-text.ts';
import { readAuthUrl } from '../../src/shared/keystone/auth-url.ts';
import { makeConfig } from '../../src/shared/options/config.ts';
import { checkProperty } from '../support/property.ts';

/** All of UTF-16, with many of the characters that can change a terminal. */
const hostile = fc.array(
  fc.oneof(
    fc.constantFrom('\u001b[2J', '\u009b', '\r', '\n', '\u0007', '\u007f', '\u202e', '\u2066', '\u200b', '\u2028'),
    fc.constantFrom('\ufeff', '\u{e0041}', '\ud800', '\u00ad', '\u0600', '\t', '\b', '\u2029'),
    fc.string({ unit: 'binary', maxLength: 4 }),
  ),
);
const texts = hostile.map((parts) => parts.join(''));

/** Controls, bidirectional and invisible characters, line separators, tags, and halves of surrogate pairs. */
const DANGEROUS = new RegExp(
  '[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]' +
    '|[\\u{e0000}-\\u{e007f}]|[\\ud800-\\udfff]',
  'u',
);

void t.test('printable text has no character that changes a terminal, and keeps all others', async (t) => {
  const property = fc.property(texts, (text) => {
    const printable = makePrintable(text);
    assert.doesNotMatch(printable, DANGEROUS);
    assert.equal(makePrintable(printable), printable, 'it is printable itself');
    const kept = (all: string): string => all.replaceAll(/[^a-z0-9äöü]/gi, '');
    const escapes = printable.replaceAll(/\\u\{[0-9a-f]+\}/g, '');
    if (!text.includes('\\u{')) assert.equal(kept(escapes), kept(text));
  });
  await checkProperty(t, property, 2_000);
});

/** Values that cannot occur in what a redaction prints. */
const secretTexts = fc.string({ unit: fc.constantFrom(...Array.from('XYZ0189%&')), minLength: 4, maxLength: 12 });

void t.test('a text has no secret of the process after redaction', async (t) => {
  const pieces = fc.array(fc.oneof(fc.nat({ max: 3 }), fc.string({ maxLength: 4 })), { maxLength: 12 });
  const property = fc.property(fc.array(secretTexts, { minLength: 1, maxLength: 4 }), pieces, (values, parts) => {
    for (const value of values) new Secret(value);
    const text = parts.map((part) => (typeof part === 'number' ? (values[part % values.length] ?? '') : part)).join('');
    const clean = redact(text);
    for (const value of values) assert.ok(!clean.includes(value), `${value} in ${clean}`);
  });
  await checkProperty(t, property, 250);
});

void t.test('a secret that contains another one leaves no remainder', async (t) => {
  const property = fc.property(secretTexts, secretTexts, secretTexts, (before, inner, after) => {
    const outer = before + inner + after;
    for (const value of [inner, outer]) new Secret(value);
    assert.equal(redact(`the secret is ${outer}`), 'the secret is [redacted]');
  });
  await checkProperty(t, property, 150);
});

void t.test('a secret is never part of what prints it', async (t) => {
  const property = fc.property(secretTexts, (value) => {
    const secret = new Secret(value);
    const error = new PluginError('usage', `wrong: ${String(secret)}`, { cause: secret });
    const printed = [
      String(secret),
      [secret].join(),
      JSON.stringify({ a: [secret], b: { c: secret } }),
      inspect({ secret, list: [secret], map: new Map([['a', secret]]) }, { depth: 9, showHidden: true }),
      inspect(secret, { customInspect: true }),
      inspect(error),
      Object.entries(secret).toString(),
    ].join('\n');
    assert.ok(!printed.includes(value), printed);
    assert.equal(secret.reveal(), value);
  });
  await checkProperty(t, property, 150);
});

/** A word that an argument can carry: no NUL, and whole characters, because arguments are UTF-8. */
const shellWords = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom("'", '"', '$(x)', '`x`', '\\', '\n', '*', '~', '!', ' ', '-', '$HOME', '', '#', '='))
    .map((parts) => parts.join('')),
);
const wordLists = fc
  .array(shellWords, { minLength: 1, maxLength: 60 })
  .map((list) => list.map((word) => Buffer.from(word.replaceAll('\0', '')).toString()));

void t.test('a POSIX shell reads quoted text as one word, and as it was', async (t) => {
  const property = fc.property(wordLists, fc.constantFrom(quoteForShell, quoteAlways), (list, quote) => {
    const script = `printf '%s\\0' ${list.map(quote).join(' ')}`;
    const output = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8', env: { HOME: '/nowhere' } });
    assert.deepEqual(output.split('\0').slice(0, -1), list);
  });
  await checkProperty(t, property, 60);
});

const readUrl = (value: string): string | undefined =>
  readAuthUrl(makeConfig<'keystone-url' | 'allow-http'>(new Map([['keystone-url', { value, origin: 'OS_AUTH_URL' }]])));

interface UrlParts {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

const urlParts: fc.Arbitrary<UrlParts> = fc.record({
  host: fc.constantFrom('keystone.test', '127.0.0.1', '[::1]', 'xn--bcher-kva.test'),
  port: fc.constantFrom(443, 5000, 35357, 1, 65535),
  path: fc.constantFrom('', '/v3', '/identity', '/identity/v3', '/a%20b', '/A'),
});

void t.test('every way to write the URL of Keystone leads to the same one, and other URLs to others', async (t) => {
  const canonical = ({ host, port, path }: UrlParts): string =>
    `https://${host}${port === 443 ? '' : `:${port}`}${path}`;
  const noise = fc.record({
    isUpperCase: fc.boolean(),
    showsPort: fc.boolean(),
    slashes: fc.constantFrom('', '/', '//'),
    end: fc.constantFrom('', '?a=b', '#c', '?', ' '),
    dots: fc.constantFrom('', '/x/..'),
  });
  const property = fc.property(urlParts, noise, urlParts, (parts, ways, other) => {
    const { host, port, path } = parts;
    const authority = `${ways.isUpperCase ? host.toUpperCase() : host}${port === 443 && !ways.showsPort ? '' : `:${port}`}`;
    const scheme = ways.isUpperCase ? 'HTTPS' : 'https';
    const written = `${scheme}://${authority}${ways.dots}${path}${ways.slashes}${ways.end}`;
    assert.equal(readUrl(written), canonical(parts));
    assert.equal(readUrl(canonical(parts)), canonical(parts));
    assert.equal(readUrl(canonical(other)) === canonical(parts), canonical(other) === canonical(parts));
  });
  await checkProperty(t, property, 1_000);
});

void t.test(
  'any other text is refused as a URL, or names a server that it is safe to send a password to',
  async (t) => {
    const pieces = fc.constantFrom(
      'http',
      'https',
      'ftp',
      '://',
      ':',
      '@',
      '/',
      'a.test',
      'localhost',
      '?',
      '#',
      'x',
      ' ',
    );
    const urlTexts = fc.oneof(
      fc.webUrl(),
      fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join('')),
      texts,
    );
    const property = fc.property(urlTexts, (text) => {
      let url: string | undefined;
      try {
        url = readUrl(text);
      } catch (error) {
        assert.ok(error instanceof PluginError && error.code === 'config-invalid', String(error));
        return;
      }
      if (url === undefined) return;
      const { protocol, hostname, username, password } = new URL(url);
      const isLoopback = /^(?:localhost|127\..*|\[::1\]|.*\.localhost)$/.test(hostname);
      assert.ok(protocol === 'https:' || (protocol === 'http:' && isLoopback), url);
      assert.equal(username + password, '');
      assert.doesNotMatch(url, /[?#]|\/$/);
      assert.equal(readUrl(url), url, 'it is its own normal form');
    });
    await checkProperty(t, property, 2_000);
  },
);
