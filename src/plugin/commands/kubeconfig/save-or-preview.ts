import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import type { CommandResult, Invocation, OutputData } from '../command.ts';
import type { Colors } from '../colors.ts';
import { listHarmlessVariables } from './configured-login.ts';
import type { ConfiguredLogin } from './configured-login.ts';
import { describeContext } from './context.ts';
import type { ContextNames } from './context.ts';

/** What a command has done to a kubeconfig. */
export interface KubeconfigChange {
  /** Sentences. */
  readonly messages: readonly string[];
  readonly data: Readonly<Record<string, OutputData>>;
  /** Secrets were written: what others could read, they no longer can. */
  readonly hasSecrets?: boolean;
}

function paintDiff(diff: string, paint: Colors): string {
  const colours: Readonly<Record<string, (text: string) => string>> = {
    '+': paint.green,
    '-': paint.red,
    '@': paint.dim,
  };
  return diff
    .split('\n')
    .map((line) => colours[line.charAt(0)]?.(line) ?? line)
    .join('\n');
}

/** How to set what was left out, as a sentence; none where nothing was. */
export function describeLeftOut(leftOut: readonly string[]): string[] {
  if (leftOut.length === 0) return [];
  return [
    `Left out, because it is secret: ${leftOut.join(', ')}. Set it where kubectl runs, or write it with --with-secrets.`,
  ];
}

/**
 * Writes what has changed, or shows it with `--dry-run`.
 *
 * @throws ConfigError
 */
export async function saveOrPreview(
  call: Invocation,
  kubeconfig: Kubeconfig,
  { messages, data, hasSecrets = false }: KubeconfigChange,
): Promise<CommandResult> {
  if (call.ownConfig.isOn('dry-run')) {
    const diff = kubeconfig.renderDiff(listHarmlessVariables());
    const text = diff === '' ? 'Nothing would change.' : paintDiff(diff, call.colors);
    return { text, data: { ...data, dryRun: true, changed: diff !== '', diff } };
  }
  const saved = await kubeconfig.save(hasSecrets);
  const files = saved.map(([path, backup]) => {
    return `Written: ${path}${backup === undefined ? '' : `; as it was: ${backup}`}`;
  });
  const lines = [...messages, ...(files.length === 0 ? ['Nothing had to be changed.'] : files)];
  return {
    text: lines.map(makePrintable).join('\n'),
    data: {
      ...data,
      dryRun: false,
      changed: saved.length > 0,
      files: saved.map(([path, backup]) => ({ path, backup: backup ?? null })),
    },
  };
}

/**
 * The same for a context that was put there, which it describes.
 *
 * @throws ConfigError
 */
export function saveOrPreviewContext(
  call: Invocation,
  kubeconfig: Kubeconfig,
  target: ContextNames,
  { leftOut }: ConfiguredLogin,
): Promise<CommandResult> {
  return saveOrPreview(call, kubeconfig, {
    messages: [describeContext(kubeconfig, target), ...describeLeftOut(leftOut)],
    data: { ...target, current: kubeconfig.currentContext ?? null, leftOut },
    hasSecrets: call.ownConfig.isOn('with-secrets'),
  });
}
