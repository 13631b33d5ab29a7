import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makePrintable } from '../../../shared/base/text.ts';
import type { CommandResult, Invocation, OutputData } from '../command.ts';
import type { Colors } from '../colors.ts';
import { describeContext } from './context.ts';
import type { ContextNames } from './context.ts';
import { HARMLESS_VARIABLES } from './stanza-login.ts';
import type { StanzaLogin } from './stanza-login.ts';

/** What a command has changed in a kubeconfig. */
export interface KubeconfigChange {
  /** Sentences. */
  readonly messages: readonly string[];
  readonly data: Readonly<Record<string, OutputData>>;
  /** Whether secrets were written; then only the owner can read the files. */
  readonly hasSecrets?: boolean;
}

function colorDiff(diff: string, colors: Colors): string {
  const byMarker: Readonly<Record<string, (text: string) => string>> = {
    '+': colors.green,
    '-': colors.red,
    '@': colors.dim,
  };
  return diff
    .split('\n')
    .map((line) => byMarker[line.charAt(0)]?.(line) ?? line)
    .join('\n');
}

/** Describes how to set the secrets that were left out; no sentence if there are none. */
export function describeLeftOut(leftOut: readonly string[]): string[] {
  if (leftOut.length === 0) return [];
  return [
    `Secrets were left out: ${leftOut.join(', ')}. Set them where kubectl runs, or write them with --with-secrets.`,
  ];
}

/**
 * Writes the changes, or shows them with `--dry-run`.
 *
 * @throws ConfigError if a file cannot be changed or written
 */
export async function saveOrPreview(
  call: Invocation,
  kubeconfig: Kubeconfig,
  { messages, data, hasSecrets = false }: KubeconfigChange,
): Promise<CommandResult> {
  if (call.ownConfig.isOn('dry-run')) {
    const diff = kubeconfig.renderDiff(HARMLESS_VARIABLES);
    const text = diff === '' ? 'Nothing would change.' : colorDiff(diff, call.colors);
    return { text, data: { ...data, dryRun: true, changed: diff !== '', diff } };
  }
  const files = await kubeconfig.save(hasSecrets);
  const fileLines = files.map(([path, backup]) => {
    return `Wrote ${path}${backup === undefined ? '' : `; backup copy: ${backup}`}`;
  });
  const lines = [...messages, ...(fileLines.length === 0 ? ['Nothing had to be changed.'] : fileLines)];
  return {
    text: lines.map(makePrintable).join('\n'),
    data: {
      ...data,
      dryRun: false,
      changed: files.length > 0,
      files: files.map(([path, backup]) => ({ path, backup: backup ?? null })),
    },
  };
}

/**
 * Like {@link saveOrPreview}, for a context that was added or changed.
 *
 * @throws ConfigError if a file cannot be changed or written
 */
export function saveOrPreviewContext(
  call: Invocation,
  kubeconfig: Kubeconfig,
  target: ContextNames,
  { leftOut }: StanzaLogin,
): Promise<CommandResult> {
  return saveOrPreview(call, kubeconfig, {
    messages: [describeContext(kubeconfig, target), ...describeLeftOut(leftOut)],
    data: { ...target, current: kubeconfig.currentContext ?? null, leftOut },
    hasSecrets: call.ownConfig.isOn('with-secrets'),
  });
}
