/** scripts/setup.mjs installs the packages exactly if node_modules is not what package-lock.json says. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';

const OTHER_PLATFORM = { optional: true, os: ['aix'], cpu: ['ppc64'] };
const THIS_PLATFORM = { optional: true, os: [process.platform], cpu: [process.arch] };

const PACKAGES: Readonly<Record<string, object>> = {
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/a/node_modules/b': { version: '2.0.0', integrity: 'sha512-b' },
  'node_modules/native': { version: '3.0.0', integrity: 'sha512-native', ...THIS_PLATFORM },
};

/** A project whose packages are installed as npm leaves them. */
interface Project {
  readonly root: string;
  readonly write: (path: string, content: object) => void;
  readonly remove: (path: string) => void;
  /** Runs setup.mjs, and returns whether it has called npm. */
  readonly setUp: () => boolean;
}

function makeProject(t: Test): Project {
  const root = t.testdir();
  const log = join(root, 'npm.log');
  const write = (path: string, content: object): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), JSON.stringify(content));
  };
  mkdirSync(join(root, 'scripts'));
  copyFileSync('scripts/setup.mjs', join(root, 'scripts/setup.mjs'));
  writeFileSync(
    join(root, 'npm.cjs'),
    `require('node:fs').writeFileSync(${JSON.stringify(log)}, process.argv.slice(2).join(' '));`,
  );
  const others = { 'node_modules/elsewhere': { version: '1.0.0', ...OTHER_PLATFORM } };
  write('package-lock.json', { packages: { '': { name: 'project' }, ...PACKAGES, ...others } });
  write('node_modules/.package-lock.json', { packages: PACKAGES });
  for (const [path, content] of Object.entries(PACKAGES)) write(`${path}/package.json`, content);
  return {
    root,
    write,
    remove(path) {
      rmSync(join(root, path), { recursive: true });
    },
    setUp() {
      rmSync(log, { force: true });
      const env = { ...process.env, npm_execpath: join(root, 'npm.cjs') };
      execFileSync(process.execPath, [join(root, 'scripts/setup.mjs')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
      if (existsSync(log)) t.match(readFileSync(log, 'utf8'), /^ci /);
      return existsSync(log);
    },
  };
}

void t.test('nothing is installed again, whoever has installed it', (t) => {
  const { root, setUp } = makeProject(t);
  t.notOk(setUp(), 'after npm ci by hand');
  t.notOk(setUp(), 'the second time');
  utimesSync(join(root, 'package-lock.json'), 4e9, 4e9);
  t.notOk(setUp(), 'after git has written the same package-lock.json again');
  t.end();
});

void t.test('whatever differs from package-lock.json leads to an installation', (t) => {
  const changes: Readonly<Record<string, (project: Project) => void>> = {
    'there is no node_modules': ({ remove }) => {
      remove('node_modules');
    },
    'an installation was interrupted before npm wrote its list': ({ remove }) => {
      remove('node_modules/.package-lock.json');
    },
    'the list of npm is cut off': ({ root }) => {
      writeFileSync(join(root, 'node_modules/.package-lock.json'), '{"packages":{"node_mod');
    },
    'package-lock.json has another version': ({ write }) => {
      write('package-lock.json', { packages: { ...PACKAGES, 'node_modules/a': { version: '1.0.1' } } });
    },
    'package-lock.json has the same version with another integrity': ({ write }) => {
      const changed = { version: '1.0.0', integrity: 'sha512-other' };
      write('package-lock.json', { packages: { ...PACKAGES, 'node_modules/a': changed } });
    },
    'package-lock.json has one more package': ({ write }) => {
      write('package-lock.json', { packages: { ...PACKAGES, 'node_modules/c': { version: '1.0.0' } } });
    },
    'a package was installed that package-lock.json does not have': ({ write }) => {
      write('node_modules/.package-lock.json', { packages: { ...PACKAGES, 'node_modules/c': { version: '1.0.0' } } });
      write('node_modules/c/package.json', { version: '1.0.0' });
    },
    'an optional package for this platform is missing': ({ write }) => {
      const others = Object.entries(PACKAGES).filter(([path]) => path !== 'node_modules/native');
      write('node_modules/.package-lock.json', { packages: Object.fromEntries(others) });
    },
    'the folder of a package was removed': ({ remove }) => {
      remove('node_modules/a/node_modules/b');
    },
    'the folder of a package has another version': ({ write }) => {
      write('node_modules/a/package.json', { version: '0.9.0' });
    },
  };
  for (const [name, change] of Object.entries(changes))
    void t.test(name, (t) => {
      const project = makeProject(t);
      change(project);
      t.ok(project.setUp());
      t.end();
    });
  t.end();
});
