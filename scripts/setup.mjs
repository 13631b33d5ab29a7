/**
 * Makes a fresh clone ready, so that each of the README's commands works on its own: installs what package-lock.json
 * names, unless that has been done. Plain JavaScript, because the Node that is here before the installation may be too
 * old to run TypeScript; the pinned Node comes with the installation.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
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
  writeFileSync(stamp, lock);
}
