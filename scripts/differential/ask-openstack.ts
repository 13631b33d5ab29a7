// Asks real OpenStack clients what `openstack token issue` sends.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { OpenStackClient } from './find-openstack.ts';

/** What a client is started with. */
export interface ClientRun {
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly arguments: readonly string[];
}

/** A request of the client, as it gave it to its HTTP library. */
export interface ClientRequest {
  readonly method: string;
  readonly url: string;
  readonly body: string | null;
  readonly authorization: string | null;
  /** The CA file or folder; true for the default; false if the certificate is not checked. */
  readonly verify: boolean | string;
  /** The client certificate, or it and its key. */
  readonly cert: string | readonly string[] | null;
}

/** What a client did. */
export interface ClientAnswer {
  /** The exit status, or the exception that ended it. */
  readonly status: number | string;
  readonly sent: readonly ClientRequest[];
  /** The end of what it printed. */
  readonly output: string;
}

/** A running client. */
export interface ClientProcess {
  readonly label: string;
  /** One question at a time. */
  ask(run: ClientRun): Promise<ClientAnswer>;
  stop(): void;
}

/** Starts a client that answers one run after the other. It stops with `stop()`, or with this process. */
export async function startClient({ label, python, pythonPath }: OpenStackClient): Promise<ClientProcess> {
  const child: ChildProcess = spawn(python, ['-s', '-W', 'ignore', join(import.meta.dirname, 'ask_openstack.py')], {
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...(pythonPath === undefined ? {} : { PYTHONPATH: pythonPath }) },
    cwd: '/',
    // The pipe to stdin closes when this process ends for any reason, and then the client ends.
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the pipes of the client are missing');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const readLine = async (): Promise<string> => {
    const next: IteratorResult<string, unknown> = await lines.next();
    if (next.done === true) throw new Error(`${label} ended`);
    return next.value;
  };
  const first = await readLine();
  if (first !== 'ready') throw new Error(`${label} did not start: ${first}`);
  return {
    label,
    async ask(run) {
      stdin.write(`${JSON.stringify(run)}\n`);
      return JSON.parse(await readLine()) as ClientAnswer;
    },
    stop: () => void child.kill(),
  };
}

/** Runs the real command in a process of its own, and returns its exit status. */
export async function runClient(
  { python, pythonPath }: OpenStackClient,
  { env, folder, arguments: args }: ClientRun,
): Promise<number | null> {
  const main = 'import sys; from openstackclient.shell import main; sys.exit(main())';
  const all = { ...env, PATH: '/usr/bin:/bin', ...(pythonPath === undefined ? {} : { PYTHONPATH: pythonPath }) };
  const child = spawn(python, ['-s', '-W', 'ignore', '-c', main, ...args, 'token', 'issue'], {
    env: all,
    cwd: folder,
    stdio: 'ignore',
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return status;
}
