import { digestFields } from '../cache/sha256.ts';
import type { Host } from '../../shared/base/host.ts';
import { LOCATION_VARIABLES, IDENTITY_VARIABLES, SECRET_FLAGS, SECRET_VARIABLES } from './fingerprint-inputs.ts';

const PURPOSE = 'client-keystone-auth fingerprint 2';

/** The arguments with the values of secret flags left out; a changed password is still the same person. */
function withoutSecrets(argv: readonly string[]): string[] {
  const kept: string[] = [];
  let valueFollows = false;
  for (const argument of argv) {
    if (valueFollows) {
      valueFollows = false;
      continue;
    }
    const name = argument.split('=', 1)[0] ?? argument;
    const secret = SECRET_FLAGS.includes(name);
    valueFollows = secret && name === argument;
    kept.push(secret ? name : argument);
  }
  return kept;
}

/**
 * Hashes everything that decides which token a run gets, as it comes in: no flag is parsed and no file is read.
 *
 * @param cluster `spec.cluster` of KUBERNETES_EXEC_INFO as JSON text, or the empty string
 */
export function computeFingerprint(host: Host, cluster: string): string {
  const { env } = host;
  const argv = withoutSecrets(host.argv);
  const fields = [
    String(argv.length),
    ...argv,
    host.cwd,
    host.uid === undefined ? undefined : String(host.uid),
    cluster,
  ];
  // An empty variable counts as unset everywhere in this program; what is unset, most of a hundred, is left out.
  for (const names of [IDENTITY_VARIABLES, LOCATION_VARIABLES]) {
    for (const name of names) {
      const value = env[name];
      if (value !== undefined && value !== '') fields.push(`${name}=${value}`);
    }
  }
  // Whether a secret is there decides which method is inferred.
  for (const name of SECRET_VARIABLES) {
    const value = env[name];
    if (value !== undefined && value !== '') fields.push(name);
  }
  return digestFields(PURPOSE, fields);
}
