/**
 * Makes a fresh clone ready, so that each of the README's commands works on its own: installs what package-lock.json
 * names, unless that has been done, and runs a script with the pinned Node that comes with it. Plain JavaScript, because
 * the Node that is here before may be too old to run TypeScript. And it starts the script itself, because a shell that
 * has found one `node` does not look for a better one after an installation.
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
  // npm tells its scripts where it is; `npm` itself is a shell script that Windows cannot start without a shell.
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm ? [process.execPath, npm] : ['npm'];
  // Warnings about engines speak of the Node that is here now, not of the pinned one.
  const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync(command, [...args, ...options], {
    cwd: fileURLToPath(root),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return;
  console.error(`npm ci failed${error ? `: ${error.message}` : ''}; see above`);
  process.exit(1);
}

if (readStamp() !== lock) {
  install();
  // tap builds its plugins into this folder and into itself; the latter has just been replaced.
  rmSync(new URL('.tap/plugins', root), { recursive: true, force: true });
  writeFileSync(stamp, lock);
}

/** The pinned Node; on a platform that has none, the one that runs this. */
function findNode() {
  const [platform, program] = process.platform === 'win32' ? ['win', 'node.exe'] : [process.platform, 'node'];
  const names = [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`];
  const paths = names.map((name) => fileURLToPath(new URL(`node_modules/${name}/bin/${program}`, root)));
  return paths.find((path) => existsSync(path)) ?? process.execPath;
}

const [script, ...args] = process.argv.slice(2);
if (script !== undefined) {
  const child = spawn(findNode(), ['--disable-warning=ExperimentalWarning', script, ...args], { stdio: 'inherit' });
  // The terminal sends its signals to the child as well; it decides how to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (status, signal) => {
    process.exit(status ?? 128 + constants.signals[signal]);
  });
}
