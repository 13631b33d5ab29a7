import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import type { Answer, Call, Data } from '../command.ts';
import type { Painter } from '../colors.ts';
import { harmlessVariables } from './configured-login.ts';
import type { ConfiguredLogin } from './configured-login.ts';
import { describeTarget } from './target.ts';
import type { Target } from './target.ts';

/** What a command has done to a kubeconfig. */
export interface Outcome {
  /** Sentences. */
  readonly said: readonly string[];
  readonly data: Readonly<Record<string, Data>>;
  /** Secrets were written: what others could read, they no longer can. */
  readonly secret?: boolean;
}

function paintDiff(diff: string, paint: Painter): string {
  const colours: Readonly<Record<string, (text: string) => string>> = {
    '+': paint.good,
    '-': paint.bad,
    '@': paint.faint,
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
export async function finish(
  call: Call,
  kubeconfig: Kubeconfig,
  { said, data, secret = false }: Outcome,
): Promise<Answer> {
  if (call.own.isOn('dry-run')) {
    const diff = kubeconfig.diff(harmlessVariables());
    const text = diff === '' ? 'Nothing would change.' : paintDiff(diff, call.paint);
    return { text, data: { ...data, dryRun: true, changed: diff !== '', diff } };
  }
  const saved = await kubeconfig.save(secret);
  const files = saved.map(([path, backup]) => {
    return `Written: ${path}${backup === undefined ? '' : `; as it was: ${backup}`}`;
  });
  const lines = [...said, ...(files.length === 0 ? ['Nothing had to be changed.'] : files)];
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
export function finishContext(
  call: Call,
  kubeconfig: Kubeconfig,
  target: Target,
  { leftOut }: ConfiguredLogin,
): Promise<Answer> {
  return finish(call, kubeconfig, {
    said: [describeTarget(kubeconfig, target), ...describeLeftOut(leftOut)],
    data: { ...target, current: kubeconfig.current ?? null, leftOut },
    secret: call.own.isOn('with-secrets'),
  });
}
