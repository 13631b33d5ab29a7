/** A part of the cache after its first failure, and the names of its files. */
import t from 'tap';
import { CacheError } from '../../src/shared/base/errors.ts';
import { makeCachePart } from '../../src/plugin/cache/cache-part.ts';
import {
  aliasFileName,
  keyringAddonFileName,
  lockFileName,
  makeTemporaryFileName,
  metadataFileName,
  parseFileName,
  refusalFileName,
  savedSecretFileName,
  tokenFileName,
} from '../../src/plugin/cache/file-names.ts';

const FOLDER = { path: '/cache', uid: 1000 };
const FAILURE = new CacheError('the disk is full');

const raise = (error: Error) => (): string => {
  throw error;
};

void t.test('a part works with its folder until something fails, and the first failure is reported once', async (t) => {
  const failures: CacheError[] = [];
  const part = makeCachePart(FOLDER, (error) => {
    failures.push(error);
  });
  t.equal(part.isUsable(), true);
  t.equal(
    part.attempt((folder) => folder.path),
    '/cache',
  );
  t.equal(await part.attemptAsync((folder) => Promise.resolve(folder.uid)), 1000);
  t.equal(part.attempt(raise(FAILURE)), undefined);
  t.equal(part.isUsable(), false);
  t.equal(part.attempt(raise(new Error('it is used again'))), undefined);
  t.equal(await part.attemptAsync(() => Promise.reject<string>(new Error('it is used again'))), undefined);
  t.strictSame(failures, [FAILURE]);
});

void t.test('a part that fails while it waits is not used again either', async (t) => {
  const failures: CacheError[] = [];
  const part = makeCachePart(FOLDER, (error) => {
    failures.push(error);
  });
  t.equal(await part.attemptAsync(() => Promise.reject<string>(FAILURE)), undefined);
  t.equal(part.isUsable(), false);
  t.strictSame(failures, [FAILURE]);
});

void t.test('a fault of the program is not a failure of the cache', async (t) => {
  const part = makeCachePart(FOLDER, () => {
    t.fail('it is reported');
  });
  const fault = new TypeError('a fault');
  t.throws(() => part.attempt(raise(fault)), fault);
  await t.rejects(
    part.attemptAsync(() => Promise.reject(fault)),
    fault,
  );
  t.equal(part.isUsable(), true);
});

void t.test('a part without a folder is never used', async (t) => {
  const part = makeCachePart(undefined, () => {
    t.fail('it is reported');
  });
  t.equal(part.isUsable(), false);
  t.equal(
    part.attempt(() => 'used'),
    undefined,
  );
  t.equal(await part.attemptAsync(() => Promise.resolve('used')), undefined);
});

const KEY = '0123456789abcdef'.repeat(4);

void t.test('the names of files belong to the format on disk', async (t) => {
  t.equal(tokenFileName(KEY), `${KEY}.token`);
  t.equal(metadataFileName(KEY), `${KEY}.about`);
  t.equal(aliasFileName(KEY), `${KEY}.alias`);
  t.equal(refusalFileName(KEY), `${KEY}.refused`);
  t.equal(savedSecretFileName(KEY), `${KEY}.kept`);
  t.equal(keyringAddonFileName(KEY), `keyring-${KEY}.node`);
  t.equal(lockFileName(KEY), '01.lock');
});

void t.test('a name that the plugin writes is recognized', async (t) => {
  const keyed = { token: tokenFileName, metadata: metadataFileName, alias: aliasFileName, refusal: refusalFileName };
  for (const [kind, nameOf] of Object.entries({ ...keyed, 'saved-secret': savedSecretFileName })) {
    t.strictSame(parseFileName(nameOf(KEY)), { kind, key: KEY });
    t.strictSame(parseFileName(makeTemporaryFileName(nameOf(KEY))), { kind: 'temporary' });
  }
  t.strictSame(parseFileName('handed-out'), { kind: 'handed-out' });
  t.strictSame(parseFileName(keyringAddonFileName(KEY)), { kind: 'keyring-addon' });
  t.strictSame(parseFileName(makeTemporaryFileName(keyringAddonFileName(KEY))), { kind: 'temporary' });
  t.strictSame(parseFileName(lockFileName(KEY)), { kind: 'lock' });
  t.strictSame(parseFileName(`${lockFileName(KEY)}-journal`), { kind: 'lock' });
});

void t.test('every other name is not a file of the plugin', async (t) => {
  for (const name of [
    '',
    KEY,
    `${KEY}.txt`,
    `x${KEY}.token`,
    `${KEY}.token.bak`,
    `${KEY.slice(1)}.token`,
    `${KEY.toUpperCase()}.token`,
    `${KEY}0.token`,
    `${KEY}.Token`,
    'handed-out2',
    'not-handed-out',
    `keyring-${KEY}.nodes`,
    `xkeyring-${KEY}.node`,
    `keyring-${KEY}xnode`,
    `keyring-${KEY.slice(1)}.node`,
    '01.locks',
    'x01.lock',
    '001.lock',
    '0.lock',
    '0g.lock',
    '01.lock-journals',
    '01xlock',
    `x.${KEY}.token.ab`,
    `.${KEY}.token.`,
    `.${KEY}.token.AB`,
    `.${KEY}.token.a b`,
    `.${KEY}.9.ab`,
    `.${KEY}.other.ab`,
    `.${KEY}.token.${'a'.repeat(14)}`,
    `.${KEY}.token`,
    `x${KEY}.token.ab`,
    `.${KEY}xtoken.ab`,
    `.keyring-${KEY}.js.ab`,
  ]) {
    t.equal(parseFileName(name), undefined, name);
  }
});

void t.test('two temporary names of one file differ', async (t) => {
  t.not(makeTemporaryFileName('a'), makeTemporaryFileName('a'));
});
