/** A real SOCKS5 server: Debian's microsocks, unpacked into the user's cache where it is not installed. */
import { execFile, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { describeSystem, findOrUnpack } from '../../scripts/lib/debian-packages.ts';
import { pathExists } from '../../scripts/lib/path-exists.ts';
import { skipBecause } from './missing-tools.ts';
import { waitUntil } from './wait-until.ts';

export interface SocksServer {
  /** Without a scheme. */
  readonly host: string;
  /** The servers that it connected to, as `NAME:PORT`: names as they were asked for. */
  listConnections(): readonly string[];
}

/** The program, or why the tests with it are skipped. */
type SocksProgram = { readonly path: string } | { readonly missing: string };

const locate = (root: string | undefined): string => join(root ?? '/', 'usr/bin/microsocks');

async function canRun(root: string | undefined): Promise<boolean> {
  const path = locate(root);
  if (!(await pathExists(path))) return false;
  // It has no option that only prints something, and a wrong one makes it print its usage.
  return new Promise((resolve) => {
    execFile(path, ['-h'], (_error, stdout, stderr) => {
      resolve(/usage: microsocks/i.test(stdout + stderr));
    });
  });
}

/**
 * Finds microsocks.
 *
 * @throws Error in CI if it is missing
 */
export async function findSocksServer(): Promise<SocksProgram> {
  const folder = `microsocks-${await describeSystem()}`;
  const found = await findOrUnpack({ what: 'Microsocks', packages: ['microsocks'], folder, canRun }, () => undefined);
  return 'missing' in found ? { missing: skipBecause(found.missing) } : { path: locate(found.root) };
}

/** Starts microsocks on loopback until the end of the test. */
export async function startSocksServer(
  t: Test,
  path: string,
  login?: { readonly user: string; readonly password: string },
): Promise<SocksServer> {
  const port = await findFreePort();
  const credentials = login === undefined ? [] : ['-u', login.user, '-P', login.password];
  const child = spawn(path, ['-i', '127.0.0.1', '-p', String(port), ...credentials], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await waitUntil('microsocks listens', () => {
    return new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      }).once('error', () => {
        resolve(false);
      });
    });
  });
  return {
    host: `127.0.0.1:${port}`,
    listConnections: () => [...log.matchAll(/connected to (\S+:\d+)$/gm)].map(([, target = '']) => target),
  };
}
