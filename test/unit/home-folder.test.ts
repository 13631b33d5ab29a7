/** An empty or relative HOME is no home folder: nothing below it is in the current folder instead. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listCloudFolders } from '../../src/plugin/config/cloud-files.ts';
import { resolveCacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { locateKubeconfig } from '../../src/plugin/kubeconfig/kubeconfig-paths.ts';
import { findHome, resolvePath } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';
import { resolveRequest } from '../support/resolve-request.ts';

const NAMES = ['', '.', 'home', './home', '~', ' /home/alice'];

void t.test('an empty or relative HOME counts as none, and does not mean the one of the account', async (t) => {
  for (const HOME of NAMES)
    t.equal(
      findHome({ HOME }, () => '/home/account'),
      undefined,
      JSON.stringify(HOME),
    );
  t.equal(
    findHome({ HOME: '/home/alice' }, () => '/home/account'),
    '/home/alice',
  );
  t.equal(
    findHome({}, () => '/home/account'),
    '/home/account',
  );
  t.equal(
    findHome({}, () => ''),
    undefined,
  );
  const fail = (): string => {
    throw new Error('no such account');
  };
  t.equal(findHome({}, fail), undefined);
});

void t.test('without a home, no path is in the current folder instead', async (t) => {
  for (const name of NAMES) {
    const env = { XDG_CONFIG_HOME: name, XDG_CACHE_HOME: name, XDG_CONFIG_DIRS: `${name}:`, HOME: name };
    const host = fakeHost({ env, cwd: '/hostile', home: () => findHome(env, () => '') });
    t.strictSame(listCloudFolders(host), ['/hostile', '/etc/xdg/openstack', '/etc/openstack'], name);
    t.equal(resolveCacheFolder(host), undefined, name);
    for (const path of ['~', '~/ca.pem', '~\\ca.pem']) {
      t.throws(() => resolvePath(path, host), { message: `${path} is in the home folder, but there is none` });
      t.throws(() => locateKubeconfig(host, path), { message: /no home folder/ });
    }
    t.throws(() => locateKubeconfig(host, undefined), { message: /no home folder/ });
    t.equal(resolvePath('~alice/x', host), '/hostile/~alice/x');
  }
});

void t.test('a clouds.yaml below an empty HOME does not get a password from elsewhere', async (t) => {
  const cwd = t.testdir();
  mkdirSync(join(cwd, '.config', 'openstack'), { recursive: true });
  const cloud = 'clouds: {prod: {auth: {auth_url: "https://evil.example/v3", user_id: u}}}';
  writeFileSync(join(cwd, '.config', 'openstack', 'clouds.yaml'), cloud);
  for (const HOME of ['', '.']) {
    const env = { HOME, OS_CLOUD: 'prod', OS_PASSWORD: 'mine' };
    const asked = resolveRequest([], env, { cwd, home: () => findHome(env, () => '') });
    await t.rejects(asked, { code: 'config-invalid', message: /there is no clouds.yaml/ });
  }
});

void t.test('each folder of XDG_CONFIG_HOME, ~/.config and XDG_CONFIG_DIRS is searched, in this order', async (t) => {
  const folders = (env: Readonly<Record<string, string>>): string[] => listCloudFolders(fakeHost({ cwd: '', env }));
  t.strictSame(folders({ XDG_CONFIG_HOME: '/x', XDG_CONFIG_DIRS: '/s:rel:/t' }), [
    '/x/openstack',
    '/home/alice/.config/openstack',
    '/s/openstack',
    '/t/openstack',
    '/etc/openstack',
  ]);
  t.strictSame(folders({}), ['/home/alice/.config/openstack', '/etc/xdg/openstack', '/etc/openstack']);
});
