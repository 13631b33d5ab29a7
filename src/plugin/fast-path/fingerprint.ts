import { digestFields } from '../cache/sha256.ts';
import type { Host } from '../../shared/base/host.ts';
import { IDENTITY_VARIABLES, LOCATION_VARIABLES, SECRET_FLAGS, SECRET_VARIABLES } from './fingerprint-inputs.ts';

const PURPOSE = 'client-keystone-auth fingerprint 2';

/** Omits the values of secret flags: the identity is the same after a password change. */
function omitSecrets(argv: readonly string[]): string[] {
  const result: string[] = [];
  let isSecretValue = false;
  for (const argument of argv) {
    if (isSecretValue) {
      isSecretValue = false;
      continue;
    }
    const name = argument.split('=', 1)[0] ?? argument;
    const isSecret = SECRET_FLAGS.includes(name);
    isSecretValue = isSecret && name === argument;
    result.push(isSecret ? name : argument);
  }
  return result;
}

/**
 * Hashes all inputs that decide which token a run gets, without parsing flags or reading files.
 *
 * @param clusterJson `spec.cluster` of KUBERNETES_EXEC_INFO as JSON text, or the empty string
 */
export function computeFingerprint(host: Host, clusterJson: string): string {
  const { env } = host;
  const argv = omitSecrets(host.argv);
  const fields = [
    String(argv.length),
    ...argv,
    host.cwd,
    host.uid === undefined ? undefined : String(host.uid),
    clusterJson,
  ];
  // An empty variable counts as unset everywhere in this program. Most variables are unset and are omitted.
  for (const names of [IDENTITY_VARIABLES, LOCATION_VARIABLES]) {
    for (const name of names) {
      const value = env[name];
      if (value !== undefined && value !== '') fields.push(`${name}=${value}`);
    }
  }
  // The presence of a secret decides which auth method is inferred.
  for (const name of SECRET_VARIABLES) {
    const value = env[name];
    if (value !== undefined && value !== '') fields.push(name);
  }
  return digestFields(PURPOSE, fields);
}
