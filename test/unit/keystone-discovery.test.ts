/** Which v3 endpoint the plugin finds below the URL of a Keystone, and when it asks that Keystone. */
import t from 'tap';
import { findV3Endpoint, replaceVersion } from '../../src/shared/keystone/discovery.ts';
import { scriptHttp } from '../support/scripted-http.ts';
import type { ScriptedHttp, ScriptedResponse } from '../support/scripted-http.ts';

const AUTH_URL = 'https://keystone.test/identity';

interface Found extends ScriptedHttp {
  readonly endpoint: string;
  readonly warnings: readonly string[];
}

async function find(response: ScriptedResponse, authUrl = AUTH_URL, wantsDiscovery = true): Promise<Found> {
  const scripted = scriptHttp(response);
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const endpoint = await findV3Endpoint(scripted.http, authUrl, { wantsDiscovery, warn });
  return { ...scripted, endpoint, warnings };
}

interface VersionOptions {
  readonly id?: string;
  readonly status?: string;
  readonly links?: unknown;
}

/** The description of a version, as Keystone sends it. */
const version = ({ id = 'v3.14', status = 'stable', links }: VersionOptions = {}): object => ({
  id,
  status,
  links: links ?? [{ rel: 'self', href: `https://internal.test/identity/${id.slice(0, 2)}/` }],
});

const list = (...versions: readonly object[]): ScriptedResponse => ({
  status: 300,
  body: { versions: { values: versions } },
});

void t.test('a version at the end of a URL is replaced, and otherwise one is appended', async (t) => {
  t.equal(replaceVersion('https://k.test/v3', 'v3'), 'https://k.test/v3');
  t.equal(replaceVersion('https://k.test/v2.0', 'v3'), 'https://k.test/v3');
  t.equal(replaceVersion('https://k.test/identity/v3.14', 'v4'), 'https://k.test/identity/v4');
  t.equal(replaceVersion('https://k.test/identity', 'v3'), 'https://k.test/identity/v3');
  t.equal(replaceVersion('https://k.test/v3x', 'v3'), 'https://k.test/v3x/v3');
  t.equal(replaceVersion('https://k.test/xv3', 'v3'), 'https://k.test/xv3/v3');
  t.equal(replaceVersion('https://k.test/v12', 'v3'), 'https://k.test/v3');
  t.equal(replaceVersion('https://k.test/v3.14159', 'v3'), 'https://k.test/v3');
  t.equal(replaceVersion('https://k.test/v', 'v3'), 'https://k.test/v/v3');
});

void t.test('Keystone is not asked if the URL has a version or the auth type never asks', async (t) => {
  for (const [authUrl, wantsDiscovery] of [
    ['https://k.test/v3', true],
    ['https://k.test/v2.0', true],
    ['https://k.test', false],
  ] as const) {
    const { endpoint, requests } = await find({ status: 500 }, authUrl, wantsDiscovery);
    t.equal(endpoint, 'https://k.test/v3');
    t.same(requests, []);
  }
});

void t.test(
  'one GET request asks for the versions, and the path of the self link is below the given host',
  async (t) => {
    const { endpoint, requests, warnings } = await find(list(version()));
    t.equal(endpoint, 'https://keystone.test/identity/v3');
    t.match(requests, [{ verb: 'GET', url: AUTH_URL, peer: { name: 'Keystone', setting: 'OS_AUTH_URL' } }]);
    t.same(warnings, []);
  },
);

void t.test('a list of versions is read in each format that Keystone has used', async (t) => {
  const newest = version({ links: [{ rel: 'self', href: '/newest' }] });
  for (const body of [{ versions: { values: [newest] } }, { versions: [newest] }, { version: newest }]) {
    for (const status of [200, 300]) {
      t.equal((await find({ status, body })).endpoint, 'https://keystone.test/newest', JSON.stringify(body));
    }
  }
});

void t.test('the best version is a stable one with the highest minor number', async (t) => {
  const at = (id: string, path: string, status = 'stable'): object =>
    version({ id, status, links: [{ rel: 'self', href: path }] });
  t.equal((await find(list(at('v3.4', '/old'), at('v3.14', '/new')))).endpoint, 'https://keystone.test/new');
  t.equal((await find(list(at('v3.14', '/new'), at('v3', '/old')))).endpoint, 'https://keystone.test/new');
  t.equal((await find(list(at('v3', '/plain')))).endpoint, 'https://keystone.test/plain');
  const deprecated = at('v3.99', '/deprecated', 'deprecated');
  t.equal((await find(list(deprecated, at('v3.1', '/stable')))).endpoint, 'https://keystone.test/stable');
});

void t.test('a deprecated version is used with a warning', async (t) => {
  const { endpoint, warnings } = await find(list(version({ status: 'DEPRECATED' })));
  t.equal(endpoint, `${AUTH_URL}/v3`);
  t.match(warnings, [/marks v3 as deprecated/]);
});

void t.test('every status of a version that works is accepted', async (t) => {
  for (const status of ['stable', 'CURRENT', 'Supported']) {
    const { endpoint, warnings } = await find(list(version({ status })));
    t.equal(endpoint, `${AUTH_URL}/v3`, status);
    t.same(warnings, [], status);
  }
});

void t.test('versions that do not work, and other versions than 3, are an error that lists them', async (t) => {
  for (const versions of [
    [version({ status: 'experimental' })],
    [version({ id: 'v2.0' }), version({ id: 'v4' })],
    [version({ id: 'xv3' }), version({ id: 'v3.x' }), version({ id: 'v33' })],
    [{ id: 'v3' }],
  ]) {
    const ids = versions.map((entry) => ('id' in entry ? String(entry.id) : '')).join(', ');
    await t.rejects(find(list(...versions)), {
      code: 'protocol',
      message: `Keystone at ${AUTH_URL} offers ${ids}, but not v3`,
      hint: 'check OS_AUTH_URL',
    });
  }
});

void t.test('the error about versions names the setting of another Keystone', async (t) => {
  const { http } = scriptHttp(list(version({ id: 'v2.0' })));
  const peer = { name: 'the service provider', setting: 'OS_OTHER_URL' };
  const options = { wantsDiscovery: true, warn: () => undefined, peer };
  await t.rejects(findV3Endpoint(http, AUTH_URL, options), { code: 'protocol', hint: 'check OS_OTHER_URL' });
});

void t.test('a response without a list of versions leads to /v3 below the URL', async (t) => {
  for (const response of [
    { status: 404, body: { versions: { values: [version({ id: 'v2.0' })] } } },
    { status: 200, body: 'a page' },
    { status: 200, body: {} },
    { status: 300, body: { versions: 'none' } },
    { status: 300, body: { versions: { values: ['v3', null, { status: 'stable' }] } } },
    { status: 200, body: { version: { status: 'stable' } } },
  ]) {
    t.equal((await find(response)).endpoint, `${AUTH_URL}/v3`, JSON.stringify(response));
  }
});

void t.test('a self link that is missing or not usable leads to /v3 below the URL', async (t) => {
  for (const links of [
    [],
    'none',
    [{ rel: 'describedby', href: '/docs' }],
    [{ rel: 'self' }],
    [{ rel: 'self', href: 'https://' }],
    [{ rel: 'self', href: 'x:@evil.example' }],
    [null, 'self'],
  ]) {
    t.equal((await find(list(version({ links })))).endpoint, `${AUTH_URL}/v3`, JSON.stringify(links));
  }
});

void t.test(
  'the first self link that is usable counts, with one slash where it has several and none at its end',
  async (t) => {
    const links = [
      { rel: 'describedby', href: '/docs' },
      { rel: 'self', href: 'x:@evil.example' },
      { rel: 'self', href: 'http://evil.example/keystone//v3///' },
      { rel: 'self', href: '/later' },
    ];
    t.equal((await find(list(version({ links })))).endpoint, 'https://keystone.test/keystone/v3');
    const relative = [{ rel: 'self', href: 'v3/' }];
    t.equal(
      (await find(list(version({ links: relative })), 'https://keystone.test/a/b')).endpoint,
      'https://keystone.test/a/v3',
    );
  },
);
