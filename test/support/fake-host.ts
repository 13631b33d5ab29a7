/** A Host for unit tests: nothing of the real machine gets in. */
import type { Host } from '../../src/shared/base/host.ts';

export function fakeHost(parts: Partial<Host> = {}): Host {
  return {
    argv: [],
    program: '/usr/bin/node',
    env: {},
    cwd: '/work',
    platform: 'linux',
    uid: 1000,
    nodeVersion: '22.23.2',
    home: () => '/home/alice',
    accountHome: () => undefined,
    now: () => 1_790_000_000_000,
    columns: () => undefined,
    writeOut: () => undefined,
    writeErr: () => undefined,
    parent: () => undefined,
    kin: () => undefined,
    stderrIsTerminal: () => false,
    silenceNode: () => undefined,
    loadLibrary: () => undefined,
    setExitStatus: () => undefined,
    leave: () => undefined,
    onSignal: () => () => undefined,
    raise: () => undefined,
    ...parts,
  };
}
