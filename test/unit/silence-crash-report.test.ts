import t from 'tap';
import {
  findCrashReports,
  nameReasonOfCrash,
  silenceCrashReport,
} from '../../scripts/package/bun-binary/silence-crash-report.ts';

const HEADING = `${'='.repeat(60)}\n`;
const BASE = 0x200000;
const CODE_AT = 0x1000;

/** Makes an ELF file whose only part is loaded to BASE, with the heading at an offset and code at CODE_AT. */
function makeElf(headingAt: number, code: Buffer): Buffer {
  const program = Buffer.alloc(0x3000);
  program.write('\x7fELF', 'latin1');
  program.writeBigUInt64LE(64n, 32);
  program.writeUInt16LE(1, 56);
  program.writeUInt32LE(1, 64);
  program.writeUInt32LE(5, 68);
  program.writeBigUInt64LE(BigInt(BASE), 80);
  program.writeBigUInt64LE(BigInt(program.length), 96);
  program.write(HEADING, headingAt, 'latin1');
  code.copy(program, CODE_AT);
  return program;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

const HEADING_AT = 0x2010;

/** Code with the two ways to load the address, and another load. */
const CODE = {
  // mov esi, address; lea rdx, [rip + distance]; lea rdx, [rip]
  x64: Buffer.concat([
    Buffer.from([0x90, 0xbe]),
    int32(BASE + HEADING_AT),
    Buffer.from([0x48, 0x8d, 0x15]),
    int32(HEADING_AT - CODE_AT - 13),
    Buffer.from([0x48, 0x8d, 0x15]),
    int32(0),
  ]),
  // adrp x1, page after next; add x1, x1, #0x10; adrp x2, the same page; nop; add x2, x2, #0x10; add x2, x2, #0x20
  arm64: Buffer.concat(
    [0xb0000001, 0x91004021, 0xb0000002, 0xd503201f, 0x91004042, 0x91008042].map((word) => int32(word | 0)),
  ),
} as const;
const FOUND = { x64: [1, 6], arm64: [4, 16] } as const;

for (const processor of ['x64', 'arm64'] as const) {
  await t.test(`on ${processor}, only the two loads of the heading are replaced`, (t) => {
    const program = makeElf(HEADING_AT, CODE[processor]);
    t.strictSame(
      findCrashReports(program, processor),
      FOUND[processor].map((at) => CODE_AT + at),
    );
    const expected = Buffer.from(program);
    for (const at of FOUND[processor]) expected.set(processor === 'x64' ? [0x0f, 0x0b] : [0, 0, 0, 0], CODE_AT + at);
    silenceCrashReport(program, processor);
    t.ok(program.equals(expected));
    t.strictSame(findCrashReports(program, processor), []);
    t.end();
  });

  await t.test(`a Bun for ${processor} that is not as expected is refused`, (t) => {
    const program = makeElf(HEADING_AT, Buffer.alloc(4));
    t.throws(() => {
      silenceCrashReport(program, processor);
    }, /in 0 places, not in 2/);
    const twice = makeElf(HEADING_AT, CODE[processor]);
    twice.write(HEADING, 0x2800, 'latin1');
    t.throws(() => {
      silenceCrashReport(twice, processor);
    }, /2 headings of crash reports, not one/);
    t.end();
  });
}

await t.test('what Bun says of a crash is replaced by a likely reason of the same length', (t) => {
  const words = 'panicked during a panic. Aborting.\n';
  const program = Buffer.from(`before${words}between${words}after`);
  const { length } = program;
  nameReasonOfCrash(program);
  t.equal(program.length, length);
  t.match(program.toString(), /^before([^\n]+\/proc[^\n]+\n)between\1after$/);
  t.throws(() => {
    nameReasonOfCrash(program);
  }, /in 0 places, not in 2/);
  t.end();
});
