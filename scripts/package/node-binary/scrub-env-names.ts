/**
 * Makes a Node blind to variables that it reads before it runs a single line of ours. A kubeconfig may set any variable
 * for its plugin, and some of these load code: OPENSSL_CONF names shared libraries, NODE_COMPILE_CACHE a folder of compiled
 * code that is believed. There is no option against either, so their names are taken out of the program: what
 * asks for a variable without a name gets none.
 */

/** Read by Node's own native code, OpenSSL or ICU. What JavaScript reads is for the sources to deal with. */
export const SCRUBBED_NAMES: readonly string[] = [
  'ICU_TIMEZONE_FILES_DIR',
  'NODE_COMPILE_CACHE',
  'NODE_DEBUG_NATIVE',
  'NODE_EXTRA_CA_CERTS',
  'NODE_ICU_DATA',
  'NODE_OPTIONS',
  'NODE_PENDING_DEPRECATION',
  'NODE_REDIRECT_WARNINGS',
  'NODE_REPL_EXTERNAL_MODULE',
  'NODE_V8_COVERAGE',
  'OPENSSL_CONF',
  'OPENSSL_CONF_INCLUDE',
  'OPENSSL_ENGINES',
  'OPENSSL_MODULES',
];

/** Where a name stands as a string of C: between two NULs. Not in V8's snapshot, where its length precedes it. */
export function findNameOffsets(program: Buffer, name: string): number[] {
  const found: number[] = [];
  const wanted = Buffer.from(`\0${name}\0`, 'latin1');
  for (let at = program.indexOf(wanted); at >= 0; at = program.indexOf(wanted, at + 1)) {
    const start = at + 1;
    if (program.readUInt32LE(start - 4) !== name.length) found.push(start);
  }
  return found;
}

/**
 * Empties these names in place.
 * @throws where one is not there: then this Node reads it in another way, which wants to be looked at
 */
export function scrubEnvNames(program: Buffer): void {
  for (const name of SCRUBBED_NAMES) {
    const places = findNameOffsets(program, name);
    if (places.length === 0) throw new Error(`this Node does not hold the name ${name}`);
    for (const at of places) program.fill(0, at, at + name.length);
  }
}
