/** The profiles of providers that the plugin contains. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { resolveRequest } from '../support/resolve-request.ts';
import type { ResolvedRequest } from '../support/resolve-request.ts';

/** Resolves a cloud with a profile. */
async function ask(t: Test, profile: string, more = ''): Promise<ResolvedRequest> {
  const home = t.testdir();
  const folder = join(home, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const auth = 'auth: {username: alice, password: p, project_name: demo}';
  writeFileSync(join(folder, 'clouds.yaml'), `clouds: {c: {profile: ${profile}, ${auth}${more}}}`);
  return resolveRequest([], { OS_CLOUD: 'c' }, { home: () => home });
}

void t.test('a profile says where Keystone is, in which region, and which domains are meant', async (t) => {
  for (const [name, url, domain] of [
    ['auro', 'https://api.van2.auro.io:5000/v3', { name: 'Default' }],
    ['binero', 'https://auth.binero.cloud:5000/v3', { id: 'default' }],
    ['citycloud', 'https://Buf1.citycloud.com:5000/v3/', { id: 'default' }],
    ['dreamcompute', 'https://iad2.dream.io:5000', { id: 'default' }],
    ['elastx', 'https://ops.elastx.cloud:5000/v3', { id: 'default' }],
    ['entercloudsuite', 'https://api.entercloudsuite.com/', { id: 'default' }],
    ['limestonenetworks', 'https://auth.cloud.lstn.net:5000/v3', { id: 'default' }],
    ['otc', 'https://iam.eu-de.otc.t-systems.com/v3', { id: 'default' }],
    ['otc-swiss', 'https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3', { id: 'default' }],
    ['ovh-us', 'https://auth.cloud.ovh.us/', { name: 'Default' }],
    ['switchcloud', 'https://identity.compute.cloud.switch.ch/v3', { id: 'default' }],
    ['switchengines', 'https://keystone.cloud.switch.ch:5000/v3', { id: 'default' }],
    ['zetta', 'https://identity.api.zetta.io/v3', { id: 'default' }],
  ] as const) {
    const { auth, config, warnings } = await ask(t, name);
    t.equal(config.text('keystone-url'), url, name);
    t.match(auth, { scope: { project: { name: 'demo', domain } } }, name);
    t.strictSame(warnings, [], name);
  }
  const catalyst = await ask(t, 'catalyst', ', region_name: nz_wlg_2');
  t.equal(catalyst.config.text('keystone-url'), 'https://api.cloud.catalyst.net.nz:5000');
  t.equal(
    (await ask(t, 'otc', ', region_name: eu-nl')).config.text('keystone-url'),
    'https://iam.eu-nl.otc.t-systems.com/v3',
  );
  t.equal((await ask(t, 'elastx', ', auth_url: "https://own/v3"')).config.text('keystone-url'), 'https://own/v3');
});

void t.test('a profile that cannot be used says why', async (t) => {
  const unusable = (reason: RegExp) => ({ code: 'config-invalid', message: reason, hint: /^copy auth_url/ });
  for (const name of ['ovh', 'vexxhost', 'https://example.com', 'HTTPS://example.com/x']) {
    await t.rejects(ask(t, `"${name}"`), unusable(/cannot be used: its settings are published at https:/i), name);
  }
  for (const name of ['betacloud', 'ibmcloud', 'internap', 'ultimum', 'unitedstack']) {
    await t.rejects(ask(t, name), unusable(new RegExp(`names profile "${name}", which cannot be used: `)), name);
  }
  for (const name of ['conoha', 'rackspace']) {
    await t.rejects(ask(t, name), { code: 'config-invalid', message: /asks for Identity API version "2/ }, name);
  }
});

void t.test('an unknown or doubtful profile is worth a warning', async (t) => {
  const more = ', auth_url: "https://own/v3", identity_api_version: 3';
  for (const name of ['acme', 'constructor', '__proto__', 'Elastx']) {
    const { warnings, config } = await ask(t, name, more);
    t.match(warnings, [
      /^profile of cloud c in .* names profile ".*", which the plugin does not know; it is not used$/,
    ]);
    t.equal(config.text('keystone-url'), 'https://own/v3');
  }
  t.strictSame((await ask(t, 'fuga')).warnings, ['profile fuga: its Keystone no longer answers']);
});
