/**
 * The content of the executables, including those that cannot run here: platform, program, version of Node, and
 * signature. The readers are written from the specifications and share nothing with scripts/package, whose result they
 * test.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { findNameOffsets, SCRUBBED_NAMES } from '../../scripts/package/node-binary/scrub-env-names.ts';
import { fetchPackageFile, readLockedPackage } from '../../scripts/lib/npm-package.ts';
import { findBunNames, findJscComparisons } from '../../scripts/package/bun-binary/scrub-bun-names.ts';
import { findCrashReports } from '../../scripts/package/bun-binary/silence-crash-report.ts';
import { fetchAddon } from '../../scripts/package/keyring-addon.ts';
import { TARGETS, executablePath } from '../../scripts/package/targets.ts';
import type { Target } from '../../scripts/package/targets.ts';
import { skipWithout } from '../support/missing-tools.ts';
import { readRuntime } from '../support/packaged-runtime.ts';
import { PACKAGED_EXECUTABLE, RUNTIME } from '../support/run-plugin.ts';

const MACHINES: Readonly<Record<string, number>> = {
  'linux-x64': 62,
  'linux-arm64': 183,
  'linux-x64-musl': 62,
  'linux-arm64-musl': 183,
  'darwin-x64': 0x01000007,
  'darwin-arm64': 0x0100000c,
  'win-x64': 0x8664,
  'win-arm64': 0xaa64,
};

function checkElfHeader(t: Test, program: Buffer, machine: number): void {
  t.equal(program.toString('latin1', 0, 6), '\x7fELF\x02\x01', '64-bit, little-endian ELF');
  t.equal(program.readUInt16LE(18), machine, 'its processor');
}

function checkElf(t: Test, program: Buffer, machine: number): void {
  checkElfHeader(t, program, machine);
  const headers = Number(program.readBigUInt64LE(32));
  const notes = Array.from({ length: program.readUInt16LE(56) }, (_, index) => headers + index * 56)
    .filter((at) => program.readUInt32LE(at) === 4)
    .map((at) =>
      program.subarray(Number(program.readBigUInt64LE(at + 8))).subarray(0, Number(program.readBigUInt64LE(at + 32))),
    );
  t.ok(
    notes.some((note) => note.includes('NODE_SEA_BLOB')),
    'the blob is where Node looks for it',
  );
}

function checkPe(t: Test, program: Buffer, machine: number): void {
  t.equal(program.toString('latin1', 0, 2), 'MZ');
  const pe = program.readUInt32LE(0x3c);
  t.equal(program.toString('latin1', pe, pe + 4), 'PE\0\0');
  t.equal(program.readUInt16LE(pe + 4), machine, 'its processor');
  t.equal(program.readUInt16LE(pe + 24), 0x20b, '64-bit');
  t.equal(program.readBigUInt64LE(pe + 24 + 112 + 4 * 8), 0n, 'no invalid signature');
}

/** Reads the load commands as `[command, bytes]`. */
function loadCommands(program: Buffer): (readonly [command: number, bytes: Buffer])[] {
  const commands: (readonly [number, Buffer])[] = [];
  let rest = program.subarray(32, 32 + program.readUInt32LE(20));
  while (rest.length > 0) {
    const size = rest.readUInt32LE(4);
    commands.push([rest.readUInt32LE(0), rest.subarray(0, size)]);
    rest = rest.subarray(size);
  }
  return commands;
}

/** Checks that the symbols are complete, including those that the dynamic linker finds by index: the blob has moved them. */
function checkSymbols(t: Test, program: Buffer, commands: ReadonlyMap<number, Buffer>): void {
  const [table, parts] = [commands.get(0x2) ?? Buffer.alloc(24), commands.get(0xb) ?? Buffer.alloc(80)];
  const [at = 0, count = 0, stringsAt = 0, stringBytes = 0] = [8, 12, 16, 20].map((field) => table.readUInt32LE(field));
  const names = Array.from({ length: count }, (_, index) => {
    const name = program.readUInt32LE(at + index * 16);
    return name >= stringBytes
      ? ''
      : program.toString('latin1', stringsAt + name, program.indexOf(0, stringsAt + name));
  });
  const [locals = 0, exportedAt, exported = 0, undefinedAt, undefinedCount = 0] = [12, 16, 20, 24, 28].map((field) =>
    parts.readUInt32LE(field),
  );
  t.equal(exportedAt, locals);
  t.equal(undefinedAt, locals + exported);
  t.equal(locals + exported + undefinedCount, count);
  t.ok(exported > 0 && names.slice(locals).every((name) => name !== ''), 'each symbol that is not local has a name');
  t.ok(names.slice(undefinedAt).includes('_malloc'), 'the imported symbols are there');
  const [indirectAt = 0, indirectCount = 0] = [56, 60].map((field) => parts.readUInt32LE(field));
  const indirect = Array.from({ length: indirectCount }, (_, index) => program.readUInt32LE(indirectAt + index * 4));
  t.strictSame(
    indirect.filter((index) => index >= count && index < 0x40000000),
    [],
    'every stub has its symbol',
  );
  t.ok(indirect.some((index) => names[index] === '_malloc'));
}

const nameOfSegment = (segment: Buffer): string => segment.toString('latin1', 8, 24).replaceAll('\0', '');

function readSegments(program: Buffer): Buffer[] {
  return loadCommands(program).flatMap(([command, bytes]) => (command === 0x19 ? [bytes] : []));
}

function checkMachOHeader(t: Test, program: Buffer, machine: number): void {
  t.equal(program.readUInt32LE(0), 0xfeedfacf, '64-bit Mach-O');
  t.equal(program.readUInt32LE(4), machine, 'its processor');
  t.equal(loadCommands(program).length, program.readUInt32LE(16), 'the number of load commands');
}

function checkMachO(t: Test, program: Buffer, machine: number): void {
  checkMachOHeader(t, program, machine);
  checkSymbols(t, program, new Map(loadCommands(program)));
  t.ok(readSegments(program).some((segment) => nameOfSegment(segment) === 'NODE_SEA'));
  checkSignature(t, program);
}

/** Checks the ad-hoc signature of everything in the file. */
function checkSignature(t: Test, program: Buffer): void {
  const [commands, segments] = [loadCommands(program), readSegments(program)];
  const last = segments.at(-1) ?? Buffer.alloc(72);
  t.equal(nameOfSegment(last), '__LINKEDIT', 'the last segment holds the signature');
  const end = Number(last.readBigUInt64LE(40)) + Number(last.readBigUInt64LE(48));
  t.equal(end, program.length, 'the last segment ends at the end of the file');
  t.ok(last.readBigUInt64LE(32) >= last.readBigUInt64LE(48), 'the segment fits in memory too');

  const [signature, ...more] = commands.filter(([command]) => command === 0x1d).map(([, bytes]) => bytes);
  t.equal(more.length, 0);
  if (signature === undefined) {
    t.fail('no signature');
    return;
  }
  const offset = signature.readUInt32LE(8);
  t.equal(offset % 16, 0);
  t.equal(offset + signature.readUInt32LE(12), program.length);
  const blob = program.subarray(offset);
  t.equal(blob.readUInt32BE(0), 0xfade0cc0, 'an embedded signature');
  const slots = new Map(
    Array.from({ length: blob.readUInt32BE(8) }, (_, index) => {
      const at = blob.readUInt32BE(16 + index * 8);
      return [blob.readUInt32BE(12 + index * 8), blob.subarray(at, at + blob.readUInt32BE(at + 4))];
    }),
  );
  t.strictSame([...slots.keys()], [0, 2, 0x10000], 'a directory, requirements, and a slot for a certificate');
  const directory = slots.get(0) ?? Buffer.alloc(0);
  t.equal(directory.readUInt32BE(0), 0xfade0c02);
  t.equal(directory.readUInt32BE(12) & 0x2, 0x2, 'ad hoc');
  t.equal(directory.readUInt32BE(32), offset, 'everything except the signature is signed');
  t.strictSame([...directory.subarray(36, 40)], [32, 2, 0, 12], 'SHA-256 of pages of 4 KiB');
  const text = segments.find((segment) => nameOfSegment(segment) === '__TEXT') ?? Buffer.alloc(72);
  t.equal(directory.readBigUInt64BE(72), text.readBigUInt64LE(48), 'the size of the executable segment');
  t.equal(directory.readBigUInt64BE(80), 1n, 'a main program');
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const hashes = directory.readUInt32BE(16);
  const hashAt = (slot: number): string => directory.toString('hex', hashes + slot * 32, hashes + slot * 32 + 32);
  t.equal(hashAt(-2), sha256(slots.get(2) ?? Buffer.alloc(0)), 'the requirements are signed');
  const wrong: number[] = [];
  for (let page = 0; page * 4096 < offset; page += 1) {
    if (hashAt(page) !== sha256(program.subarray(page * 4096, Math.min(page * 4096 + 4096, offset)))) wrong.push(page);
  }
  t.strictSame(wrong, [], 'the hash of every page is correct');
  t.equal(directory.readUInt32BE(28), Math.ceil(offset / 4096));
}

const HEADER_CHECKS = { elf: checkElfHeader, pe: checkPe, 'mach-o': checkMachOHeader } as const;
const CHECKS = { elf: checkElf, pe: checkPe, 'mach-o': checkMachO } as const;

function requireMade(target: Target): string | false {
  if (PACKAGED_EXECUTABLE === undefined) return 'npm test -- --packaged';
  return skipWithout(executablePath(target), () => existsSync(executablePath(target)));
}

async function checkBun(t: Test, program: Buffer, target: Target): Promise<void> {
  const { name, file, processor } = target.bun;
  HEADER_CHECKS[target.format](t, program, MACHINES[target.name] ?? 0);
  if (target.format === 'mach-o') checkSignature(t, program);
  const { version } = await readLockedPackage(name);
  t.ok(program.includes(`bun-v${version}`), `Bun ${version}`);
  t.ok(program.includes(await fetchAddon(target.keyringPackage)), 'it contains the native part of the keyring');
  // What follows are the bundles, and Bun's own modules in JavaScript, which run after the plugin has begun.
  const native = program.subarray(0, (await fetchPackageFile(name, file)).length);
  t.strictSame(findBunNames(native), [], 'it contains no name of a variable of Bun');
  t.strictSame(findJscComparisons(native, processor), [], 'it looks for no variable of JavaScriptCore');
  t.strictSame(findCrashReports(native, processor), [], 'it reports no crash');
  t.notOk(program.includes(process.cwd()), 'it contains no path of this machine');
}

for (const target of TARGETS) {
  const needsBun = target.node === undefined && RUNTIME === 'node';
  const skip = needsBun ? 'npm run package -- --runtime bun' : requireMade(target);
  await t.test(target.name, { skip }, async (t) => {
    const program = readFileSync(executablePath(target));
    if (readRuntime(target) === 'bun') {
      await checkBun(t, program, target);
      return;
    }
    CHECKS[target.format](t, program, MACHINES[target.name] ?? 0);
    t.ok(program.includes(`node-${process.version}`.slice(5)), `Node ${process.version}`);
    t.ok(
      program.includes('NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1'),
      'the fuse tells Node to look for the blob',
    );
    for (const file of ['out/executable.cjs', 'dist/slow.cjs', 'dist/got.cjs', 'dist/keyring.cjs']) {
      t.ok(program.includes(readFileSync(file)), `it contains ${file}`);
    }
    for (const name of SCRUBBED_NAMES) t.strictSame(findNameOffsets(program, name), [], `it does not contain ${name}`);
  });
}
