// Delays the results of what Node does beside the program: file operations, name resolution and cryptography. File
// operations that the program waits for are delayed by blocking it.

import dns from 'node:dns';
import fs from 'node:fs';

import type { DelayKind, Delays } from './delays.ts';

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/** Replaces a method, and keeps what else the function has, such as its variant for promises. */
function replace(owner: object, name: string, make: (original: AnyFunction) => AnyFunction): void {
  const original: unknown = Reflect.get(owner, name);
  if (typeof original !== 'function') return;
  const replacement = make(original as AnyFunction);
  Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original));
  Reflect.set(owner, name, replacement);
}

/** Delays the result of a function that returns a promise. */
function delayPromise(owner: object, name: string, kind: DelayKind, delays: Delays): void {
  const wait = (): Promise<void> =>
    new Promise((resolve) => {
      delays.run(kind, resolve);
    });
  replace(
    owner,
    name,
    (original) =>
      async function (...args) {
        try {
          return await original.apply(this, args);
        } finally {
          await wait();
        }
      },
  );
}

/** Delays the result of a function whose last argument is a callback. */
function delayCallback(owner: object, name: string, kind: DelayKind, delays: Delays): void {
  replace(
    owner,
    name,
    (original) =>
      function (...args) {
        const callback = args.at(-1);
        if (typeof callback !== 'function') return original.apply(this, args);
        const later = (...results: readonly unknown[]): void => {
          delays.run(kind, () => {
            (callback as (...values: readonly unknown[]) => void)(...results);
          });
        };
        return original.apply(this, [...args.slice(0, -1), later]);
      },
  );
}

/** Blocks the process before or after a function. */
function blockCall(owner: object, name: string, delays: Delays): void {
  replace(
    owner,
    name,
    (original) =>
      function (...args) {
        delays.block('file-sync');
        try {
          return original.apply(this, args);
        } finally {
          delays.block('file-sync');
        }
      },
  );
}

const FILE_OPERATIONS: readonly string[] = [
  'access',
  'chmod',
  'copyFile',
  'link',
  'lstat',
  'mkdir',
  'mkdtemp',
  'open',
  'readFile',
  'readdir',
  'readlink',
  'realpath',
  'rename',
  'rm',
  'rmdir',
  'stat',
  'symlink',
  'truncate',
  'unlink',
  'utimes',
  'writeFile',
];

/** The operations on which programs agree with other programs. */
const BLOCKED_OPERATIONS: readonly string[] = [
  'closeSync',
  'fstatSync',
  'fsyncSync',
  'linkSync',
  'lstatSync',
  'mkdirSync',
  'openSync',
  'readFileSync',
  'readdirSync',
  'renameSync',
  'rmSync',
  'statSync',
  'unlinkSync',
  'writeFileSync',
  'writeSync',
];

/** Delays file operations, name resolution and cryptography. */
export function delayCalls(delays: Delays): void {
  for (const name of FILE_OPERATIONS) {
    delayPromise(fs.promises, name, 'file', delays);
    delayCallback(fs, name, 'file', delays);
  }
  for (const name of BLOCKED_OPERATIONS) blockCall(fs, name, delays);
  delayCallback(dns, 'lookup', 'name', delays);
  delayPromise(dns.promises, 'lookup', 'name', delays);
  const subtle = Object.getPrototypeOf(crypto.subtle) as object;
  for (const name of ['digest', 'importKey', 'sign', 'verify']) delayPromise(subtle, name, 'cryptography', delays);
}
