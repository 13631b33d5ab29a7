/**
 * Sets up a fresh clone, so that each command of the README works on its own. It installs the packages of
 * package-lock.json unless they are installed already, and runs a script with the pinned Node that is among them. It is
 * plain JavaScript, because the Node that is installed on the machine may be too old for TypeScript. It starts the
 * script itself, because a shell that has found one `node` does not look for another one after an installation.
 *
 * usage: node scripts/setup.mjs [SCRIPT.ts [ARGUMENT...]]
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const stamp = new URL('node_modules/.installed-for', root);

const lock = createHash('sha256')
  .update(readFileSync(new URL('package-lock.json', root)))
  .digest('hex');

function readStamp() {
  try {
    return readFileSync(stamp, 'utf8');
  } catch {
    return undefined;
  }
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

if (readStamp() !== lock) {
  install();
  // tap builds its plugins into this folder and into its package, which has just been replaced.
  rmSync(new URL('.tap/plugins', root), { recursive: true, force: true });
  writeFileSync(stamp, lock);
}

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
