/** Makes a host for unit tests that reads nothing of the real machine. */
import type { Host } from '../../src/shared/base/host.ts';

export function fakeHost(parts: Partial<Host> = {}): Host {
  const env = { ...parts.env };
  return {
    argv: [],
    pid: 4_000_000,
    execPath: '/usr/bin/node',
    cwd: '/work',
    platform: 'linux',
    uid: 1000,
    nodeVersion: '22.23.2',
    temporaryFolders: [],
    home: () => '/home/alice',
    accountHome: () => undefined,
    now: () => 1_790_000_000_000,
    columns: () => undefined,
    stdoutIsDevice: () => false,
    writeOut: () => undefined,
    writeErr: () => undefined,
    identifyParent: () => undefined,
    identifyJob: () => undefined,
    identifyProcess: () => undefined,
    isRunning: () => true,
    personalVariables: () => parts.env ?? {},
    setKubeconfigVariables: (variables) => Object.assign(env, variables),
    unsetVariables: () => undefined,
    stderrIsTerminal: () => false,
    silenceNode: () => undefined,
    loadAddon: () => undefined,
    setExitStatus: () => undefined,
    exit: () => undefined,
    exitNow: () => undefined,
    onUnhandledError: () => undefined,
    onIdle: () => undefined,
    onExit: () => () => undefined,
    onSignal: () => () => undefined,
    raise: () => undefined,
    ...parts,
    env,
  };
}
