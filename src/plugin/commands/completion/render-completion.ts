/** Renders the completion scripts of all shells. A script needs nothing but the shell. */
import type { CommandDescription } from '../command.ts';
import { renderBash } from './bash.ts';
import { renderFish } from './fish.ts';
import { renderPowerShell } from './powershell.ts';
import { makeVocabulary } from './vocabulary.ts';
import { renderZsh } from './zsh.ts';

const RENDERERS = {
  bash: renderBash,
  zsh: renderZsh,
  fish: renderFish,
  powershell: renderPowerShell,
} as const;

export type Shell = keyof typeof RENDERERS;

/** The shells, by the names that `completion` accepts. */
export const SHELLS: readonly string[] = Object.keys(RENDERERS);

/** Whether there is a script for a shell of this name. */
export function isShell(name: string | undefined): name is Shell {
  return name !== undefined && SHELLS.includes(name);
}

/** Renders the script that a shell loads to complete the command line. */
export function renderCompletion(shell: Shell, commands: readonly CommandDescription[]): string {
  return RENDERERS[shell](makeVocabulary(commands));
}
