import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { readTarMember, readZipMember } from '../../scripts/lib/read-archive.ts';
import { writeTarGz, writeZip } from '../../scripts/package/archive-formats.ts';
import { inTimeZone } from '../support/time-zone.ts';

const MEMBERS = [
  { name: 'program', contents: Buffer.alloc(100_000, 'program '), executable: true },
  { name: 'docs/empty.md', contents: Buffer.alloc(0), executable: false },
  { name: 'LICENSE', contents: Buffer.from('license\n'), executable: false },
];

await t.test('tar reads a tar archive, which is the same in every time zone', async (t) => {
  const archive = await writeTarGz(MEMBERS);
  for (const { name, contents } of MEMBERS) {
    t.strictSame(await readTarMember(gunzipSync(archive), name), contents, name);
  }
  await t.rejects(readTarMember(gunzipSync(archive), 'missing'), { message: /does not contain missing/ });
  t.ok(archive.equals(await inTimeZone('Asia/Kathmandu', () => writeTarGz(MEMBERS))), 'the same bytes elsewhere');
  const file = join(t.testdir({}), 'archive.tar.gz');
  writeFileSync(file, archive);
  const lines = execFileSync('tar', ['--utc', '--full-time', '--numeric-owner', '-tvzf', file], { encoding: 'utf8' });
  t.strictSame(lines.replaceAll(/ +/g, ' ').trim().split('\n'), [
    '-rwxr-xr-x 0/0 100000 1970-01-01 00:00:00 program',
    '-rw-r--r-- 0/0 0 1970-01-01 00:00:00 docs/empty.md',
    '-rw-r--r-- 0/0 8 1970-01-01 00:00:00 LICENSE',
  ]);
});

await t.test('a zip archive is the same in every time zone', async (t) => {
  const archive = await writeZip(MEMBERS);
  for (const { name, contents } of MEMBERS) t.strictSame(await readZipMember(archive, name), contents, name);
  await t.rejects(readZipMember(archive, 'missing'), { message: /does not contain missing/ });
  await t.rejects(readZipMember(Buffer.from('text'), 'missing'), { message: /not a zip archive/ });
  t.ok(archive.equals(await inTimeZone('Asia/Kathmandu', () => writeZip(MEMBERS))), 'the same bytes elsewhere');
});
