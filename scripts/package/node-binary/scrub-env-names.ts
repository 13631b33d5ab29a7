/**
 * Makes Node ignore variables that it reads before the first line of JavaScript. A kubeconfig can set any variable for
 * its plugin, and some of these variables load code: OPENSSL_CONF names shared libraries, and NODE_COMPILE_CACHE names
 * a folder with compiled code that Node does not check. No option turns this off, so their names in the program are
 * emptied: no variable has an empty name.
 */

/**
 * Variables that Node's native code, OpenSSL or ICU read. The sources of the plugin handle those that JavaScript reads.
 */
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

/** Returns the offsets of a name as a C string, between two NULs. In V8's snapshot, a length precedes it instead. */
export function findNameOffsets(program: Buffer, name: string): number[] {
  const offsets: number[] = [];
  const pattern = Buffer.from(`\0${name}\0`, 'latin1');
  for (let at = program.indexOf(pattern); at >= 0; at = program.indexOf(pattern, at + 1)) {
    const start = at + 1;
    if (program.readUInt32LE(start - 4) !== name.length) offsets.push(start);
  }
  return offsets;
}

/**
 * Empties the names in place.
 *
 * @throws Error when a name is missing: this Node may read the variable in another way
 */
export function scrubEnvNames(program: Buffer): void {
  for (const name of SCRUBBED_NAMES) {
    const offsets = findNameOffsets(program, name);
    if (offsets.length === 0)
      throw new Error(`this Node does not contain the name ${name}; check how it reads the variable`);
    for (const at of offsets) program.fill(0, at, at + name.length);
  }
}
