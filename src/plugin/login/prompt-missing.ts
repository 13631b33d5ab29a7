import type { Option } from '../../shared/options/option.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import { promptForOptions, explainMissingOptions } from '../auth-methods/missing-options.ts';
import { openTerminal } from '../terminal/terminal.ts';
import type { LoginContext } from './login-context.ts';

/** Questions that are left to others. */
interface Left {
  readonly withoutProject?: boolean;
}

/**
 * Has the user asked for what is missing, if anything is.
 *
 * @throws InteractionRequired where nobody can be asked
 * @throws Cancelled
 */
export async function promptForMissing(
  { host, execInfo, user, method }: LoginContext,
  given: ResolvedConfig,
  listMissing: (config: ResolvedConfig) => Option[],
  { withoutProject }: Left = {},
): Promise<ResolvedConfig> {
  const missing = listMissing(given);
  if (missing.length === 0) return given;
  const because = user.cannotPromptReason;
  const terminal = because === undefined ? openTerminal(host) : undefined;
  if (terminal === undefined) throw explainMissingOptions(missing, because ?? 'the terminal is gone');
  try {
    return await promptForOptions(given, listMissing, {
      host,
      terminal,
      server: execInfo?.clusterServer,
      method,
      withoutProject,
    });
  } finally {
    terminal.close();
  }
}
