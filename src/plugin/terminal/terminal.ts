import { closeSync, openSync, writeFileSync } from 'node:fs';
import { isatty, ReadStream, WriteStream } from 'node:tty';
import { PluginError } from '../../shared/base/errors.ts';
import type { Host, PromptSignal } from '../../shared/base/host.ts';
import type { TerminalText } from '../../shared/base/terminal-text.ts';

/** The user or a signal ended the prompt. */
export class UserCanceled extends PluginError {
  /** The signal that must still end this process; undefined for Ctrl-C and Ctrl-D typed at the prompt. */
  readonly signal: PromptSignal | undefined;

  constructor(signal?: PromptSignal) {
    super('canceled', 'canceled at the prompt');
    this.signal = signal;
  }
}

/** The user's controlling terminal, whatever stdin, stdout and stderr are connected to. */
export interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
  /** Stops reading until the next prompt. */
  pause(): void;
}

interface Device {
  readonly input: string;
  readonly output: string;
}

const DEVICES: Partial<Record<NodeJS.Platform, Device>> = {
  win32: { input: String.raw`\\.\CONIN$`, output: String.raw`\\.\CONOUT$` },
};

const UNIX_DEVICE: Device = { input: '/dev/tty', output: '/dev/tty' };

/** The prompt library ends the stream that it wrote to, but the next prompt needs it too. */
function makeUnendingStream(fd: number): WriteStream {
  const stream = new WriteStream(fd);
  stream.end = () => stream;
  return stream;
}

function openOrClose<T>(path: string, flags: string, use: (fd: number) => T): T {
  const fd = openSync(path, flags);
  try {
    return use(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Writes text to the controlling terminal, wherever stdout and stderr go.
 *
 * @returns false if the process has none
 */
export function writeToTerminal(host: Host, text: TerminalText): boolean {
  const { output } = DEVICES[host.platform] ?? UNIX_DEVICE;
  try {
    openOrClose(output, host.platform === 'win32' ? 'r+' : 'w', (fd) => {
      writeFileSync(fd, text);
      closeSync(fd);
    });
    return true;
  } catch {
    return false;
  }
}

/** Whether a terminal can hide what is typed. */
function canHideInput(input: ReadStream): boolean {
  let canHide = true;
  const onError = (): void => {
    canHide = false;
  };
  input.once('error', onError).setRawMode(false).off('error', onError);
  return canHide;
}

/**
 * Opens the input of a console of Windows. On Bun, only stdin can hide what is typed there.
 *
 * @throws Error if there is none
 */
function openConsoleInput(device: string): ReadStream {
  // Windows opens a console device for reading and writing only.
  const input = openOrClose(device, 'r+', (fd) => new ReadStream(fd));
  if (canHideInput(input)) return input;
  input.destroy();
  if (!isatty(0)) throw new Error('stdin is not a console');
  return new ReadStream(0);
}

/** Opens the controlling terminal; undefined if the process has none. */
function openAnotherTerminal(host: Host): Terminal | undefined {
  const device = DEVICES[host.platform] ?? UNIX_DEVICE;
  const isWindows = host.platform === 'win32';
  let input: ReadStream | undefined;
  try {
    const opened = isWindows
      ? openConsoleInput(device.input)
      : openOrClose(device.input, 'r', (fd) => new ReadStream(fd));
    input = opened;
    const output = openOrClose(device.output, isWindows ? 'r+' : 'w', makeUnendingStream);
    return {
      input: opened,
      output,
      pause() {
        opened.pause();
      },
    };
  } catch {
    input?.destroy();
    return undefined;
  }
}

const terminals = new WeakMap<Host, Terminal>();

/**
 * Returns the controlling terminal; undefined if the process has none. It is opened once and stays open until the end
 * of the run: a stream of Bun goes on reading after it is destroyed, and would take the answer to the next prompt.
 */
export function openTerminal(host: Host): Terminal | undefined {
  const open = terminals.get(host);
  if (open?.input.destroyed === false) return open;
  const terminal = openAnotherTerminal(host);
  if (terminal !== undefined) terminals.set(host, terminal);
  return terminal;
}
