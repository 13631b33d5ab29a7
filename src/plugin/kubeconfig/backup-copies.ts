/** The copies of a kubeconfig as it was before a change. */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { writePrivately } from './write-file.ts';

/** How many numbered copies are kept beside the first one. */
const MAX_NUMBERED = 4;

const NUMBER = /^[1-9]\d{0,8}$/;

function listNumbers(folder: string, prefix: string): number[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((suffix) => NUMBER.test(suffix))
    .map(Number)
    .toSorted((a, b) => a - b);
}

const isFile = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;

/**
 * Makes a copy next to a kubeconfig, for the owner only: the file can contain credentials that are about to be removed.
 * The first copy (`config.keystone.bak`) is what the user had before this program changed anything, and is never
 * replaced. Of the later ones (`config.keystone.bak.1` and so on), the newest four are kept.
 *
 * @returns the path of the copy
 * @throws Error of the system
 */
export function makeBackupCopy(path: string, content: Buffer): string {
  const first = `${path}.keystone.bak`;
  if (!isFile(first)) {
    writePrivately(first, content);
    return first;
  }
  const [folder, prefix] = [dirname(path), `${basename(first)}.`];
  const numbers = listNumbers(folder, prefix);
  const copy = `${first}.${String((numbers.at(-1) ?? 0) + 1)}`;
  writePrivately(copy, content);
  for (const number of numbers.slice(0, 1 - MAX_NUMBERED)) {
    const old = join(folder, `${prefix}${String(number)}`);
    if (isFile(old)) rmSync(old, { force: true });
  }
  return copy;
}
