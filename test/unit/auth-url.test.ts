/** Which URLs of a Keystone are accepted, and their normal form. */
import t from 'tap';
import { makeConfig } from '../../src/shared/options/config.ts';
import type { Setting } from '../../src/shared/options/layer.ts';
import { readAuthUrl, readCredentialUrl, readKeystoneUrl } from '../../src/shared/keystone/auth-url.ts';

type Name = 'keystone-url' | 'other-url' | 'allow-http';

function configOf(
  values: Partial<Record<Name, string>>,
): Parameters<typeof readAuthUrl>[0] & Parameters<typeof readKeystoneUrl<'other-url'>>[0] {
  const settings = Object.entries(values).map(([name, value]): [Name, Setting] => [
    name as Name,
    { value, origin: `OS_${name.toUpperCase()}` },
  ]);
  return makeConfig<Name>(new Map(settings));
}

const read = (url: string, more: Partial<Record<Name, string>> = {}): string | undefined =>
  readAuthUrl(configOf({ 'keystone-url': url, ...more }));

void t.test('a URL that is not set is undefined', async (t) => {
  t.equal(readAuthUrl(configOf({})), undefined);
  t.equal(readCredentialUrl(configOf({ 'keystone-url': 'https://k.test' }), 'other-url', 'x'), undefined);
});

void t.test(
  'the normal form has a lower-case host and no default port, query, fragment or slash at its end',
  async (t) => {
    for (const [url, normal] of [
      ['https://k.test/v3', 'https://k.test/v3'],
      ['https://K.Test:443/v3//', 'https://k.test/v3'],
      ['https://k.test:5000/a//b/', 'https://k.test:5000/a//b'],
      ['  https://k.test/?x=1#y ', 'https://k.test'],
      ['\u00a0https://k.test/v3\u00a0', 'https://k.test/v3'],
      ['https://k.test/V3', 'https://k.test/V3'],
    ] as const) {
      t.equal(read(url), normal, url);
    }
  },
);

void t.test('what is not a URL with a secure scheme is an error with an example', async (t) => {
  const hint = 'set OS_KEYSTONE-URL to something like https://keystone.example.com:5000/v3';
  for (const url of ['', 'keystone', '/v3', 'https://']) {
    t.throws(() => read(url), { code: 'config-invalid', message: 'OS_KEYSTONE-URL is not a URL', hint }, url);
  }
  for (const url of ['ftp://k.test', 'keystone:5000', 'httpsx://k.test']) {
    t.throws(() => read(url), { message: 'OS_KEYSTONE-URL must begin with https:// or http://', hint }, url);
  }
});

void t.test('a URL must not contain a user name or a password', async (t) => {
  for (const url of ['https://alice@k.test', 'https://:secret@k.test', 'https://alice:secret@k.test']) {
    const expected = { message: /must not contain a user name or a password/, hint: /OS_USERNAME and OS_PASSWORD/ };
    t.throws(() => read(url), expected, url);
  }
});

void t.test('http:// is only for this machine, unless the user accepts it', async (t) => {
  const rejected = { message: /would cross the network unencrypted/, hint: /--allow-http/ };
  t.throws(() => read('http://k.test/v3'), rejected);
  t.throws(() => read('http://k.test/v3', { 'allow-http': 'false' }), rejected);
  t.equal(read('http://k.test/v3', { 'allow-http': 'true' }), 'http://k.test/v3');
  t.equal(read('http://127.0.0.1:5000/v3'), 'http://127.0.0.1:5000/v3');
  t.equal(read('http://localhost/v3'), 'http://localhost/v3');
});

void t.test('the URL of another Keystone has the same rules and its own name', async (t) => {
  t.equal(readKeystoneUrl(configOf({ 'other-url': 'https://o.test/v3/' }), 'other-url'), 'https://o.test/v3');
  t.throws(() => readKeystoneUrl(configOf({ 'other-url': 'x' }), 'other-url'), {
    message: 'OS_OTHER-URL is not a URL',
  });
  const url = readCredentialUrl(configOf({ 'other-url': 'https://o.test/token?x=1' }), 'other-url', 'an example');
  t.equal(url?.href, 'https://o.test/token?x=1');
});
