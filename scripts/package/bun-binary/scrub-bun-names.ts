/**
 * Makes Bun ignore variables that it reads before the first line of JavaScript, or behind its back. A kubeconfig can set
 * any variable for its plugin. Some of these variables run code (BUN_BE_BUN, BUN_OPTIONS), some write files
 * (BUN_BYTECODE_ORDER_OUT), and some send what happened elsewhere (BUN_INSPECT_CONNECT_TO, BUN_CRASH_REPORT_URL). No
 * option turns them off, so their names in the program are emptied: no variable has an empty name.
 */

import type { BunSource } from '../targets.ts';

type Processor = BunSource['processor'];
type System = BunSource['system'];

/**
 * Every variable of Bun's own: its native code reads each by its name, a C string. On Windows and macOS, names can follow
 * other text without a NUL between them. After a dollar sign, a name is part of a message.
 */
const BUN_NAMES = /(?<![A-Z0-9_$ ])BUN_[A-Z][A-Z0-9_]*(?=\0)/g;

/** Variables of Bun that must be among those that were found, because of what they do. */
const DANGEROUS_BUN_NAMES = [
  'BUN_BE_BUN',
  'BUN_BYTECODE_DIGEST_OUT',
  'BUN_BYTECODE_ORDER_NAMES_OUT',
  'BUN_BYTECODE_ORDER_OUT',
  'BUN_CONFIG_VERBOSE_FETCH',
  'BUN_CRASH_REPORT_URL',
  'BUN_ENABLE_CRASH_REPORTING',
  'BUN_INSPECT',
  'BUN_INSPECT_CONNECT_TO',
  'BUN_INSPECT_PRELOAD',
  'BUN_OPTIONS',
  'BUN_RUNTIME_TRANSPILER_CACHE_PATH',
  'BUN_TRACE',
  'BUN_WATCHER_TRACE',
];

/** Variables of the parts that Bun consists of. */
const OTHER_NAMES = [
  'ICU_DATA',
  'ICU_TIMEZONE_FILES_DIR',
  'JSC_PROFILER_PATH',
  'JSC_SIGNAL_FOR_GC',
  'JavaScriptCoreUseJIT',
  'NODE_CHANNEL_FD',
  'NODE_EXTRA_CA_CERTS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_USE_SYSTEM_CA',
];

/** The names that a Bun must contain as C strings. */
export const SCRUBBED_BUN_NAMES: readonly string[] = [...DANGEROUS_BUN_NAMES, ...OTHER_NAMES];

/** How often a Bun contains a name. A name that is not here is there once. */
const COUNTS: Readonly<Record<System, Readonly<Record<string, number>>>> = {
  linux: {},
  // ICU is a library of macOS.
  darwin: { BUN_TRACE: 0, ICU_DATA: 0, ICU_TIMEZONE_FILES_DIR: 0 },
  windows: { BUN_TRACE: 0, JSC_SIGNAL_FOR_GC: 0, NODE_USE_SYSTEM_CA: 2 },
};

/** JavaScriptCore takes each variable with this prefix as an option, and some options replace functions. */
export const JSC_PREFIX = 'BUN_JSC_';

/** A name as a C string in the program. */
interface FoundName {
  readonly name: string;
  readonly at: number;
}

/** Finds the C strings that are such names. */
export function findBunNames(program: Buffer): FoundName[] {
  const names = [...program.toString('latin1').matchAll(BUN_NAMES)].map(({ 0: name, index: at }) => ({ name, at }));
  for (const name of OTHER_NAMES) {
    const pattern = Buffer.from(`\0${name}\0`, 'latin1');
    for (let at = program.indexOf(pattern); at >= 0; at = program.indexOf(pattern, at + 1))
      names.push({ name, at: at + 1 });
  }
  return names;
}

const byte = (value: number): string => String.raw`\x` + value.toString(16).padStart(2, '0');

/**
 * Patterns of the instructions that compare one character of a variable and leave if it is another one. The groups are
 * the bytes that hold the character. A dot is a byte with registers, or with where to go.
 */
const COMPARISONS: Readonly<Record<Processor, (character: number, index: number) => string>> = {
  // cmp byte [register + index], character; jne. Source: Intel's manual, volume 2, CMP and Jcc.
  x64: (character, index) => {
    const address = index === 0 ? String.raw`[\x38-\x3f]` : String.raw`[\x78-\x7f]${byte(index)}`;
    return String.raw`\x41?\x80${address}(${byte(character)})\x75.`;
  },
  // ldrb w, [x, #index]; cmp w, #character; b.ne. Source: Arm's reference manual, C6.2.
  arm64: (character, index) => {
    const load = String.raw`.[${byte(index << 2)}-${byte((index << 2) | 3)}]\x40\x39`;
    const low = (character & 0x3f) << 2;
    const compare = String.raw`.([${byte(low)}-${byte(low | 3)}])(${byte(character >> 6)})\x71`;
    return String.raw`${load}${compare}...\x54`;
  },
};

/** The bits of such a byte that belong to a register. */
const REGISTER_BITS: Readonly<Record<Processor, readonly number[]>> = { x64: [0], arm64: [3, 0] };

/** Returns the offsets of the bytes that hold the characters of {@link JSC_PREFIX}, of each place that compares it. */
export function findJscComparisons(program: Buffer, processor: Processor): number[][] {
  const characters = [...Buffer.from(JSC_PREFIX, 'latin1')];
  const pattern = new RegExp(characters.map(COMPARISONS[processor]).join(''), 'dgs');
  return [...program.toString('latin1').matchAll(pattern)].map(({ indices }) =>
    (indices ?? []).slice(1).flatMap((range) => range?.[0] ?? []),
  );
}

/** Compares with NULs instead: no variable starts with eight of them. */
function emptyJscPrefix(program: Buffer, processor: Processor): void {
  const places = findJscComparisons(program, processor);
  if (places.length !== 1)
    throw new Error(
      `this Bun compares ${JSC_PREFIX} in ${places.length} places, not in one; check how it reads options`,
    );
  const masks = REGISTER_BITS[processor];
  for (const [index, at] of (places[0] ?? []).entries()) {
    program.writeUInt8(program.readUInt8(at) & (masks[index % masks.length] ?? 0), at);
  }
}

/**
 * Empties the names in place.
 *
 * @throws Error when something is not found as expected: this Bun may read the variable in another way
 */
export function scrubBunNames(program: Buffer, system: System, processor: Processor): void {
  const found = findBunNames(program);
  for (const name of SCRUBBED_BUN_NAMES) {
    const [count, expected] = [found.filter((each) => each.name.endsWith(name)).length, COUNTS[system][name] ?? 1];
    if (count !== expected)
      throw new Error(
        `this Bun contains the name ${name} ${count} times, not ${expected}; check how it reads the variable`,
      );
  }
  for (const { name, at } of found) program.fill(0, at, at + name.length);
  emptyJscPrefix(program, processor);
}
