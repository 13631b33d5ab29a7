// No text that others wrote takes time that grows with the square of its length.

import t from 'tap';
import { hideArguments, hideSecretsInLines, hideUserInfo } from '../../src/plugin/kubeconfig/hide-secrets.ts';
import { parseYamlStream } from '../../src/plugin/kubeconfig/yaml.ts';
import { parseXml } from '../../src/plugin/saml/xml.ts';
import { parseCurlOutput } from '../../src/plugin/kerberos/curl.ts';
import { readUnverifiedClaims } from '../../src/shared/oidc/jwt.ts';
import { removeTrailingSlashes } from '../../src/shared/base/text.ts';
import { makePrintable } from '../../src/shared/base/terminal-text.ts';

function hideComment(comment: string): string {
  const text = `# ${comment}\na: b\n`;
  return hideSecretsInLines(text, parseYamlStream(text, 'a'), new Set()).join('\n');
}

const PARSERS: Readonly<Record<string, (length: number) => unknown>> = {
  'slashes before something else': (length) => removeTrailingSlashes(`${'/'.repeat(length)}a`),
  'a header of spaces': (length) =>
    parseCurlOutput(`HTTP/1.1 200 OK\r\nA: ${' '.repeat(length)}b\r\n\r\n\n000 0 200`, 0),
  'a comment of words for secrets': (length) => hideComment('key'.repeat(length / 3)),
  'a flag of words for secrets': (length) => hideArguments([`--${'key'.repeat(length / 3)}!`]),
  'many starts of a URL': (length) => hideUserInfo('//'.repeat(length / 2)),
  'a JWT of dots': (length) => readUnverifiedClaims('.'.repeat(length)),
  'a JWT without an end': (length) => readUnverifiedClaims(`a.${'a'.repeat(length)}!`),
  'XML of attributes': (length) =>
    parseXml(`<a ${Array.from({ length: length / 8 }, (_, index) => `a${index}=""`).join(' ')}/>`),
  'XML of line ends': (length) => parseXml(`<a>${'\r'.repeat(length)}</a>`),
  'XML that nests': (length) => parseXml('<a>'.repeat(length / 3)),
  'XML of references': (length) => parseXml(`<a>${'&lt;'.repeat(length / 4)}</a>`),
  'XML of comments without an end': (length) => parseXml(`<a>${'<!--'.repeat(length / 4)}`),
  'invisible characters': (length) => makePrintable('\u200b'.repeat(length)),
};

void t.test('the time to read a hostile text grows with its length', async (t) => {
  const measure = (parse: (length: number) => unknown, length: number): number => {
    const before = process.cpuUsage();
    try {
      parse(length);
    } catch {
      // Refused.
    }
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  for (const [name, parse] of Object.entries(PARSERS)) {
    measure(parse, 6_000);
    const [small, large] = [measure(parse, 6_000), measure(parse, 96_000)];
    t.ok(large < 100 * Math.max(small, 5_000), `${name}: ${small} and ${large} µs`);
  }
});

void t.test('what is too long to be searched for secrets is redacted', async (t) => {
  t.match(hideComment(`${'x '.repeat(2_000)} token: canary-w7Qz`), /^# \[redacted\]$/m);
  t.strictSame(hideArguments([`--${'a'.repeat(200)}=canary-w7Qz`, `--${'a'.repeat(200)}`, 'canary-w7Qz']), [
    `--${'a'.repeat(200)}=[redacted]`,
    `--${'a'.repeat(200)}`,
    '[redacted]',
  ]);
});
