/**
 * Sets up a fresh clone, so that each command of the README works on its own. It installs the packages of
 * package-lock.json unless they are installed already, and runs a script with the pinned Node that is among them. It is
 * plain JavaScript, because the Node that is installed on the machine may be too old for TypeScript. It starts the
 * script itself, because a shell that has found one `node` does not look for another one after an installation.
 *
 * usage: node scripts/setup.mjs [SCRIPT.ts [ARGUMENT...]]
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

const root = new URL('../', import.meta.url);

/** Reads a JSON file; undefined if it is missing or not JSON. */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(new URL(path, root), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Returns whether node_modules is what package-lock.json says. npm writes what it has installed, in the same form, to
 * node_modules/.package-lock.json, in which the optional packages of other platforms are missing. That file says nothing
 * about folders that were removed or replaced later, so the version in each folder is compared as well.
 */
function isInstalled() {
  const locked = readJson('package-lock.json')?.packages ?? {};
  const installed = readJson('node_modules/.package-lock.json')?.packages;
  if (installed === undefined) return false;
  const isEqual = (path) => isDeepStrictEqual(installed[path], locked[path]);
  return (
    Object.keys(locked).every((path) => path === '' || path in installed || !mustBeInstalled(locked[path])) &&
    Object.entries(installed).every(
      ([path, { version }]) => isEqual(path) && readJson(`${path}/package.json`)?.version === version,
    )
  );
}

/** npm may leave out an optional package, unless it says that it is for this platform. It does not ask for the libc here. */
function mustBeInstalled({ optional = false, os, cpu, libc }) {
  return !optional || (os?.includes(process.platform) && cpu?.includes(process.arch) && libc === undefined);
}

function install() {
  console.error('Installing the packages of package-lock.json …');
  // npm sets this variable for its scripts. `npm` itself is a shell script, which Windows cannot start without a shell.
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm ? [process.execPath, npm] : ['npm'];
  // Without this, npm warns about the Node of the machine, which is not the one that runs the script.
  const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync(command, [...args, ...options], {
    cwd: fileURLToPath(root),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return;
  console.error(`npm ci failed${error ? `: ${error.message}` : ''}; see its output above`);
  process.exit(1);
}

if (!isInstalled()) install();

/** Returns the pinned Node, or the running one on a platform without a pinned Node. */
function findNode() {
  const [platform, program] = process.platform === 'win32' ? ['win', 'node.exe'] : [process.platform, 'node'];
  const names = [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`];
  const paths = names.map((name) => fileURLToPath(new URL(`node_modules/${name}/bin/${program}`, root)));
  return paths.find((path) => existsSync(path)) ?? process.execPath;
}

const [script, ...args] = process.argv.slice(2);
if (script !== undefined) {
  const child = spawn(findNode(), ['--disable-warning=ExperimentalWarning', script, ...args], { stdio: 'inherit' });
  // The terminal sends its signals to the child too, and the child decides how to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (status, signal) => {
    process.exit(status ?? 128 + constants.signals[signal]);
  });
}
