/** Runs of the plugin that hold the login lock or wait for it. */
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PLUGIN_COMMAND } from './built-programs.ts';
import type { LoginSettings } from './login-settings.ts';
import { silence } from './stand-in-faults.ts';
import type { StandInKeystone } from './stand-in-keystone.ts';
import { PATIENT, startProgram } from './stress.ts';
import type { RunningProgram } from './stress.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Starts a run that never gets a response to its login, and waits until it has sent the request.
 *
 * @param plugin the command of the plugin; by default that of the plugin under test
 */
export async function startHangingRun(
  standIn: StandInKeystone,
  env: LoginSettings,
  plugin: readonly string[] = PLUGIN_COMMAND,
): Promise<RunningProgram> {
  const before = standIn.countLogins();
  standIn.answerNext(silence(), 'POST /v3/auth/tokens');
  const holder = startProgram([...plugin, ...PATIENT], env);
  await waitUntil('the login of the run with the lock', () => standIn.countLogins() > before);
  return holder;
}

/** Waits until a run has opened the file of a lock, which it does when it needs the lock. Linux only. */
export async function waitUntilAtLock({ pid }: Pick<RunningProgram, 'pid'>): Promise<void> {
  const folder = `/proc/${pid}/fd`;
  const isLockOpen = (descriptor: string): boolean => {
    try {
      return readlinkSync(join(folder, descriptor)).endsWith('.lock');
    } catch {
      // It was closed in the meantime.
      return false;
    }
  };
  await waitUntil('a run at the lock', () => readdirSync(folder).some(isLockOpen));
}
