import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import type { Line, Style } from '../../../shared/base/terminal-text.ts';
import type { CommandResult, Invocation, OutputData } from '../command.ts';
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

const DIFF_STYLES: Readonly<Record<string, Style>> = { '+': 'green', '-': 'red', '@': 'dim' };

function styleDiffLine(text: string): Line {
  const style = DIFF_STYLES[text.charAt(0)];
  return style === undefined ? text : [{ style, text }];
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
    const lines = diff === '' ? ['Nothing would change.'] : diff.split('\n').map(styleDiffLine);
    return { lines, data: { ...data, dryRun: true, changed: diff !== '', diff } };
  }
  const files = await call.reporter.waitFor('another program that is writing the kubeconfig', () =>
    kubeconfig.save(call.host, { forOwnerOnly: hasSecrets }),
  );
  const fileLines = files.map(([path, backup]) => {
    return `Wrote ${path}${backup === undefined ? '' : `; backup copy: ${backup}`}`;
  });
  return {
    lines: [...messages, ...(fileLines.length === 0 ? ['Nothing had to be changed.'] : fileLines)],
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
