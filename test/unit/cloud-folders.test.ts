/** Where the files of OpenStack settings are searched for, on each platform. */
import t from 'tap';
import { listCloudFolders, suggestCloudFolder } from '../../src/plugin/config/cloud-files.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';

const folders = (parts: Partial<Host>): string[] => listCloudFolders(fakeHost({ cwd: '/work', ...parts }));

void t.test('on Linux the folders are those of the user, of XDG and of the machine', async (t) => {
  t.strictSame(folders({}), ['/work', '/home/alice/.config/openstack', '/etc/xdg/openstack', '/etc/openstack']);
  t.equal(folders({ env: { XDG_CONFIG_HOME: '/config' } })[1], '/config/openstack');
  t.equal(folders({ env: { XDG_CONFIG_HOME: 'relative' } })[1], '/home/alice/.config/openstack');
  t.strictSame(folders({ home: () => undefined }), ['/work', '/etc/xdg/openstack', '/etc/openstack']);
});

void t.test('on macOS the folders are in the libraries, and those of openstacksdk', async (t) => {
  t.strictSame(folders({ platform: 'darwin', home: () => '/Users/alice' }), [
    '/work',
    '/Users/alice/Library/Application Support/openstack',
    '/Users/alice/.config/openstack',
    '/Library/Application Support/openstack',
    '/etc/openstack',
  ]);
  t.strictSame(folders({ platform: 'darwin', home: () => undefined }), [
    '/work',
    '/Library/Application Support/openstack',
    '/etc/openstack',
  ]);
});

void t.test('on Windows the folders are below the data of the user and of the machine', async (t) => {
  const machine = 'C:\\ProgramData\\OpenStack\\openstack';
  const windows = { platform: 'win32', cwd: 'C:\\work' } as const;
  t.strictSame(folders({ ...windows, env: { LOCALAPPDATA: 'C:\\Local' } }), [
    'C:\\work',
    'C:\\Local\\OpenStack\\openstack',
    machine,
  ]);
  t.strictSame(folders({ ...windows, env: { LOCALAPPDATA: 'Local' } }), ['C:\\work', machine]);
  t.strictSame(folders({ ...windows, env: {} }), ['C:\\work', machine]);
});

void t.test('no folder is searched twice, and a current folder that was removed is not searched', async (t) => {
  t.strictSame(folders({ cwd: '/etc/openstack' }), [
    '/etc/openstack',
    '/home/alice/.config/openstack',
    '/etc/xdg/openstack',
  ]);
  t.strictSame(folders({ cwd: '' })[0], '/home/alice/.config/openstack');
});

void t.test('a new file is suggested for the first folder that every run finds', async (t) => {
  t.equal(suggestCloudFolder(fakeHost()), '/home/alice/.config/openstack');
  t.equal(suggestCloudFolder(fakeHost({ home: () => undefined })), '/etc/xdg/openstack');
  t.equal(suggestCloudFolder(fakeHost({ platform: 'win32', env: {} })), 'C:\\ProgramData\\OpenStack\\openstack');
});
