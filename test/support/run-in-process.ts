/** Runs a command in the process of the test, with a fake host. */
import { runCli } from '../../src/plugin/cli/cli.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { fakeHost } from './fake-host.ts';

export interface CommandOutput {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command other than get-token, and returns its output. */
export async function runInProcess(parts: Partial<Host>): Promise<CommandOutput> {
  let [stdout, stderr] = ['', ''];
  let status: number | undefined;
  const host = fakeHost({
    ...parts,
    writeOut: (text) => {
      stdout += text;
      return undefined;
    },
    writeErr: (text) => (stderr += text),
    setExitStatus: (value) => (status = value),
  });
  await runCli(host);
  return { status, stdout, stderr };
}
