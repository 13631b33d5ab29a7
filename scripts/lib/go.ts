import { spawnSync } from 'node:child_process';

/** Go's own installation does not always add itself to the PATH. */
const PLACES = ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go'];

/** Finds the go command; undefined without a toolchain. */
export function findGo(): string | undefined {
  return PLACES.find((path) => spawnSync(path, ['version'], { stdio: 'ignore' }).status === 0);
}
