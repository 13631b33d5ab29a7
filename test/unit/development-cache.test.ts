import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { fillCacheFolder, tryToFillCacheFolder } from '../../scripts/lib/development-cache.ts';

void t.test('a folder of the cache appears when it is complete, and nothing else stays', async (t) => {
  const cache = join(t.testdir({}), 'cache');
  const folder = join(cache, 'tool-1');
  await fillCacheFolder(folder, async ({ work, done }) => {
    await writeFile(join(work, 'download'), '');
    await mkdir(join(work, 'modules'), { mode: 0o500 });
    await writeFile(join(done, 'program'), '');
    t.notOk(readdirSync(cache).includes('tool-1'), 'it does not exist while it is filled');
  });
  t.strictSame([readdirSync(cache), readdirSync(folder)], [['tool-1'], ['program']]);
});

void t.test('a failure leaves nothing, and is told in one line', async (t) => {
  const cache = t.testdir({});
  const fail = (error: Error): Promise<string | undefined> =>
    tryToFillCacheFolder(join(cache, 'tool-1'), () => Promise.reject(error));
  t.equal(await fail(new Error('wrong checksum')), 'wrong checksum');
  t.equal(await fail(Object.assign(new Error('Command failed: pip'), { stderr: 'a\nno network\n' })), 'no network');
  t.equal(await fail(Object.assign(new Error('spawn pip ENOENT'), { stderr: '' })), 'spawn pip ENOENT');
  t.strictSame(readdirSync(cache), []);
});

void t.test('the folder of a faster process stays', async (t) => {
  const cache = t.testdir({});
  const folder = join(cache, 'tool-1');
  await fillCacheFolder(folder, async ({ done }) => {
    await writeFile(join(done, 'second'), '');
    await fillCacheFolder(folder, (other) => writeFile(join(other.done, 'first'), ''));
  });
  t.strictSame([readdirSync(cache), readdirSync(folder)], [['tool-1'], ['first']]);
});

void t.test('what a killed process left is removed, but not what another one may still fill', async (t) => {
  const cache = t.testdir({});
  for (const name of ['.tool-1-killed', '.tool-1-running', '.tool-2-killed']) {
    mkdirSync(join(cache, name));
    writeFileSync(join(cache, name, 'download'), '');
    if (name.endsWith('killed')) utimesSync(join(cache, name), 0, 0);
  }
  t.equal(await tryToFillCacheFolder(join(cache, 'tool-1'), () => Promise.resolve()), undefined);
  t.strictSame(readdirSync(cache).sort(), ['.tool-1-running', '.tool-2-killed', 'tool-1']);
});
