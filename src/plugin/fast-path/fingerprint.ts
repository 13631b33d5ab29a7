import { digestFields } from '../cache/sha256.ts';
import type { Host } from '../../shared/base/host.ts';
import { IDENTITY_VARIABLES, LOCATION_VARIABLES, SECRET_FLAGS, SECRET_VARIABLES } from './fingerprint-inputs.ts';

const PURPOSE = 'client-keystone-auth fingerprint 6';

/** Whether a variable is one of those that nothing reads and that may be misspelled, which the slow path refuses. */
const isUnknownSetting = (name: string): boolean => {
  const start = name.slice(0, 'OS_'.length).toUpperCase();
  return (start === 'OS_' || start === 'CLI') && !IDENTITY_VARIABLES.includes(name) && !SECRET_VARIABLES.includes(name);
};

/** Whether the next argument can be the value of this one. */
const isBareFlag = (argument: string | undefined): boolean =>
  argument?.startsWith('-') === true && !argument.includes('=');

/**
 * Omits the values of secret flags: the identity is the same after a password change. Only whether a value is empty stays,
 * because an empty one counts as unset.
 *
 * @returns undefined if that needs a parser: if a secret flag may be the value of another flag, or has no value
 */
function omitSecrets(argv: readonly string[]): string[] | undefined {
  const result: string[] = [];
  let previous: string | undefined;
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    const [name = ''] = argument.split('=', 1);
    if (!SECRET_FLAGS.includes(name)) {
      result.push(argument);
      previous = argument;
      continue;
    }
    if (isBareFlag(previous)) return undefined;
    let value: string | undefined = argument.slice(name.length + 1);
    if (name === argument) {
      index += 1;
      value = argv[index];
    }
    if (value === undefined) return undefined;
    result.push(value === '' ? `${name}=` : name);
    previous = undefined;
  }
  return result;
}

/**
 * Hashes all inputs that decide which token a run gets, without parsing flags or reading files.
 *
 * @param clusterJson `spec.cluster` of KUBERNETES_EXEC_INFO as JSON text, or the empty string
 * @returns undefined if only the parser can tell which arguments are secrets; such a run takes the slow path
 */
export function computeFingerprint(host: Host, clusterJson: string): string | undefined {
  const { env } = host;
  const argv = omitSecrets(host.argv);
  if (argv === undefined) return undefined;
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
  // All but this one: an empty HOME means that there is no home folder. Without the variable, the folder is the one in the
  // system's accounts.
  if (env['HOME'] === '') fields.push('HOME=');
  // The presence of a secret decides which auth method is inferred.
  for (const name of SECRET_VARIABLES) {
    const value = env[name];
    if (value !== undefined && value !== '') fields.push(name);
  }
  for (const name of Object.keys(env)) {
    if (isUnknownSetting(name) && env[name] !== '') fields.push(name);
  }
  return digestFields(PURPOSE, fields);
}
