/**
 * The lock of kubectl (client-go, clientcmd `lockFile`): a file that exists while a program writes the kubeconfig. Ours
 * says who holds it, so that the next run can remove the lock of a run that was killed.
 */
import { linkSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { getErrorCode } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { parseJsonObject, textAt } from '../../shared/base/json.ts';
import { readRegularFile } from '../../shared/base/read-file.ts';
import { PROGRAM_NAME } from '../../shared/base/program.ts';
import { createMark } from './write-file.ts';

function readOrEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

const MAX_BYTES = 4 * 1024;

const readText = (path: string): string => readOrEmpty(() => readRegularFile(path, MAX_BYTES).bytes.toString());

/** Identifies where a pid has its meaning: the machine since its start, and the container. */
function identifyMachine(): string {
  const boot = readText('/proc/sys/kernel/random/boot_id').trim();
  const container = readOrEmpty(() => readlinkSync('/proc/self/ns/pid'));
  return [hostname(), boot, container].join(' ');
}

const identifyHolder = (host: Host, pid: number): string => host.identifyProcess(pid)?.id ?? String(pid);

const lockPathOf = (path: string): string => `${path}.lock`;

function describeHolder(host: Host): string {
  const holder = { program: PROGRAM_NAME, machine: identifyMachine(), pid: host.pid };
  return JSON.stringify({ ...holder, process: identifyHolder(host, host.pid), nonce: String(Math.random()) });
}

/** Whether a lock belongs to a run of this program on this machine that has ended. kubectl's locks are empty. */
function isAbandoned(text: string, host: Host): boolean {
  const holder = parseJsonObject(text);
  const pid = Number(holder?.['pid']);
  if (textAt(holder, 'program') !== PROGRAM_NAME || !Number.isSafeInteger(pid) || pid <= 0) return false;
  if (textAt(holder, 'machine') !== identifyMachine()) return false;
  return !host.isRunning(pid) || identifyHolder(host, pid) !== textAt(holder, 'process');
}

/** Removes the lock of a run that was killed; returns whether there was one. */
export function removeAbandonedLock(path: string, host: Host): boolean {
  const lockPath = lockPathOf(path);
  const text = readText(lockPath);
  if (!isAbandoned(text, host)) return false;
  // Another run may do the same: only one of them can rename the file, and it sees whether it is still the same lock.
  const removed = `${lockPath}.${String(host.pid)}`;
  try {
    renameSync(lockPath, removed);
  } catch {
    return false;
  }
  const isSame = readText(removed) === text;
  try {
    if (!isSame) linkSync(removed, lockPath);
  } catch {
    // Another program has taken the lock meanwhile.
  }
  rmSync(removed, { force: true });
  return isSame;
}

/**
 * Takes the locks of some files, all or none, without waiting.
 *
 * @returns what releases them, or the path of a lock that another program holds
 * @throws Error of the system
 */
export function tryLock(paths: readonly string[], host: Host): (() => void) | string {
  const held: string[] = [];
  const release = (): void => {
    for (const lockPath of held) rmSync(lockPath, { force: true });
  };
  for (const path of paths) {
    const lockPath = lockPathOf(path);
    try {
      try {
        createMark(lockPath, describeHolder(host));
      } catch (error) {
        if (getErrorCode(error) !== 'EEXIST' || !removeAbandonedLock(path, host)) throw error;
        createMark(lockPath, describeHolder(host));
      }
      held.push(lockPath);
    } catch (error) {
      release();
      if (getErrorCode(error) === 'EEXIST') return lockPath;
      throw error;
    }
  }
  return release;
}
