import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startServer, WITH_PARENT } from '../lib/server-process.ts';
import type { ServerCommand } from '../lib/server-process.ts';

export interface ProviderCommand extends Pick<ServerCommand, 'name' | 'ending' | 'isReady'> {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** For its log; created if it does not exist. */
  readonly dir: string;
}

/** Starts the program of an identity provider, see {@link startServer}. */
export function startProviderProcess(command: ProviderCommand): ReturnType<typeof startServer> {
  const { program, args, env = {}, dir, ...rest } = command;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return startServer({
    ...rest,
    words: [...WITH_PARENT, program, ...args],
    options: { env: { PATH: process.env['PATH'] ?? '', HOME: dir, LC_ALL: 'C.UTF-8', ...env }, cwd: dir },
    logFile: join(dir, `${command.name}.log`),
  });
}
