/** Runs the program of an image: as the user of the image, without capabilities, its files read-only. */
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { makeImageCommand, unpackImage } from '../../scripts/release/installations/run-image.ts';
import type { ContainerSettings } from '../../scripts/release/installations/run-image.ts';
import type { Owner } from './webhook-client.ts';
import { makeTestFolder } from './webhook-settings.ts';

export interface ImageProcess {
  /** What it has written to stdout and stderr so far. */
  readOutput(): { readonly stdout: string; readonly stderr: string };
  /** Whether it has ended. */
  hasEnded(): boolean;
  /** Its exit status. */
  readonly ended: Promise<number | null>;
  /** Its process ID. */
  findPid(): number;
}

/** Starts the program of the image in a layout. It is killed after the test. */
export async function startImage(t: Owner, layout: string, settings: ContainerSettings): Promise<ImageProcess> {
  const folder = makeTestFolder(t);
  // The user of the image has to reach its files.
  chmodSync(folder, 0o755);
  const [program, ...words] = makeImageCommand(await unpackImage(layout, folder), settings);
  const child = spawn(program, words, {
    env: { PATH: process.env['PATH'] },
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr, hasEnded] = ['', '', false];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', (status) => {
      hasEnded = true;
      resolve(status);
    });
  });
  t.teardown(async () => {
    // bubblewrap ends its program when it is killed.
    child.kill('SIGKILL');
    await ended;
  });
  return {
    readOutput: () => ({ stdout, stderr }),
    hasEnded: () => hasEnded,
    ended,
    findPid: () => {
      // bubblewrap waits for its only child.
      const pid = String(child.pid);
      return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'));
    },
  };
}
