import type { Host, PromptSignal } from '../../shared/base/host.ts';

/** Signals that end or stop a program in the middle of its work. */
const SIGNALS: readonly PromptSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGTSTP'];

/** Does something as a whole: a signal takes effect afterward, as if it had come then. */
export async function holdSignals<T>(host: Host, act: () => T): Promise<T> {
  const arrived = new Set<PromptSignal>();
  const removers = SIGNALS.map((signal) =>
    host.onSignal(signal, () => {
      arrived.add(signal);
    }),
  );
  try {
    return act();
  } finally {
    // The listeners hear of a signal when the event loop gets its turn.
    await new Promise((resolve) => setImmediate(resolve));
    for (const remove of removers) remove();
    for (const signal of arrived) host.raise(signal);
  }
}
