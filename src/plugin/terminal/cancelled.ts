import { PluginError } from '../../shared/base/errors.ts';
import type { PromptSignal } from '../../shared/base/host.ts';

/** The user or a signal ended the prompt. */
export class UserCancelled extends PluginError {
  /** The signal that this process still has to die of; undefined for Ctrl-C and Ctrl-D typed at the prompt. */
  readonly signal: PromptSignal | undefined;

  constructor(signal?: PromptSignal) {
    super('cancelled', 'cancelled at the prompt');
    this.signal = signal;
  }
}
