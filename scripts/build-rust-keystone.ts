// Builds the published Rust Keystone with the Rust of this machine, once, into the user's cache. The build takes some
// ten minutes on two processors, and needs neither root nor installed packages besides Rust and a C compiler. It runs
// with a low priority. An interrupted build continues the next time.
//
// usage: node scripts/setup.mjs scripts/build-rust-keystone.ts

import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { runLogged } from './lib/build-steps.ts';
import { buildForCache, BuildToolMissing } from './lib/cached-build.ts';
import { describeSystem, findOrUnpack } from './lib/debian-packages.ts';
import { pathExists } from './lib/path-exists.ts';
import { findRustKeystoneFolders, RUST_KEYSTONE_VERSION } from './rust-keystone/find-rust-keystone.ts';

const PROTOC = 'usr/bin/protoc';
/** The minor version of Rust 1. */
const OLDEST_RUST = 91;

/** Runs while it holds the lock, so that a second build waits and then finds what the first one made. */
const BUILD = `test -e "$1" || {
  cargo install openstack-keystone --version "$3" --locked --debug --root "$2" && rm -rf "$4"
}`;

// rustup keeps Rust in the home of the user, also if HOME names another folder.
const { homedir } = userInfo();
const cargoHome = process.env['CARGO_HOME'] ?? join(homedir, '.cargo');
const rustEnv = {
  ...process.env,
  PATH: [process.env['PATH'] ?? '', join(cargoHome, 'bin')].join(delimiter),
  RUSTUP_HOME: process.env['RUSTUP_HOME'] ?? join(homedir, '.rustup'),
};

const folders = await findRustKeystoneFolders();
if (await pathExists(folders.installed)) console.log(`Rust Keystone is already built: ${folders.installed}`);
else await build();

/** Returns why the Rust of this machine cannot build it; undefined if it can. */
async function findProblem(): Promise<string | undefined> {
  const run = promisify(execFile);
  const version = await run('cargo', ['--version'], { cwd: '/', env: rustEnv }).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
  if (version === undefined) return 'cargo is not installed; install Rust';
  if (Number(/^cargo 1\.(\d+)/.exec(version)?.[1]) < OLDEST_RUST)
    return `${version.trim()} is too old; install Rust 1.${OLDEST_RUST} or newer`;
  return undefined;
}

/** Writes a program that runs the protoc of Debian's package with its own libraries, and returns its path. */
async function provideProtoc(work: string): Promise<string> {
  const request = {
    what: 'the compiler of Protocol Buffers',
    // The second one has the definitions that those of Keystone import.
    packages: ['protobuf-compiler', 'libprotobuf-dev'],
    folder: `protobuf-${await describeSystem()}`,
    canRun: (root: string | undefined) => runsProtoc(work, root),
  };
  const found = await findOrUnpack(request, (line) => {
    console.log(line);
  });
  if ('missing' in found) throw new Error(found.missing);
  return writeProtoc(work, found.root);
}

async function writeProtoc(work: string, root = '/'): Promise<string> {
  const libraries = (await readdir(join(root, 'usr/lib'))).filter((name) => name.includes('-linux-gnu'));
  const path = libraries.map((name) => join(root, 'usr/lib', name)).join(':');
  const file = join(work, 'protoc');
  await writeFile(file, `#!/bin/sh\nLD_LIBRARY_PATH='${path}' exec '${join(root, PROTOC)}' "$@"\n`);
  await chmod(file, 0o755);
  return file;
}

/** Whether the protoc below `root` runs, and finds the definitions that others import. */
async function runsProtoc(work: string, root: string | undefined): Promise<boolean> {
  const program = await writeProtoc(work, root);
  const importing = join(work, 'importing.proto');
  await writeFile(importing, 'syntax = "proto3";\nimport "google/protobuf/empty.proto";\n');
  const args = [`--proto_path=${work}`, `--descriptor_set_out=${join(work, 'importing')}`, importing];
  return promisify(execFile)(program, args).then(
    () => true,
    () => false,
  );
}

async function build(): Promise<void> {
  const { installed, target, lock } = folders;
  await buildForCache(`Rust Keystone ${RUST_KEYSTONE_VERSION}`, installed, async ({ work, done, log }) => {
    const problem = await findProblem();
    if (problem !== undefined) throw new BuildToolMissing(problem);
    // Cargo keeps its downloads here, and not in the user's folder, but with the user's settings.
    const home = join(target, 'cargo');
    await mkdir(home, { recursive: true });
    for (const name of ['config', 'config.toml'])
      await copyFile(join(cargoHome, name), join(home, name)).catch(() => undefined);
    const env = {
      ...rustEnv,
      CARGO_HOME: home,
      CARGO_TARGET_DIR: join(target, 'target'),
      PROTOC: await provideProtoc(work),
      // Nobody debugs it, and the linker is three times as fast.
      CARGO_PROFILE_DEV_DEBUG: '0',
      CARGO_INCREMENTAL: '0',
    };
    const args = [lock, 'sh', '-c', BUILD, 'sh', installed, done, RUST_KEYSTONE_VERSION, target];
    await runLogged(log, 'flock', args, { cwd: work, env });
  });
}
