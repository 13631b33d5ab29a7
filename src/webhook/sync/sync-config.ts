/**
 * The configuration of the synchronization: role mappings, and what of a Keystone project is created in the cluster.
 */
import { isTextList } from '../../shared/base/json-members.ts';
import { unifyKeys } from '../../shared/options/unify-keys.ts';
import { parseYaml, SERVER_LIMITS } from '../../shared/options/yaml.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { RoleMapping } from '../authn/role-mappings.ts';
import { isSimilarName } from '../../shared/base/similar-name.ts';

export interface SyncConfig {
  readonly syncsProjects: boolean;
  readonly syncsRoleAssignments: boolean;
  /** `%i` the ID of the project, `%n` its name, `%d` the ID of the domain of the user, as in the Go program. */
  readonly namespaceFormat: string;
  readonly excludedProjectIds: readonly string[];
  readonly excludedProjectNames: readonly string[];
  readonly roleMappings: readonly RoleMapping[];
}

/** Applies to what the configuration does not set, and if there is none: nothing is synchronized unless asked for. */
export const DEFAULT_SYNC_CONFIG: SyncConfig = {
  syncsProjects: false,
  syncsRoleAssignments: false,
  namespaceFormat: '%i',
  excludedProjectIds: [],
  excludedProjectNames: [],
  roleMappings: [],
};

const TYPES = ['projects', 'role_assignments'];
const KEYS = [
  'data_types_to_sync',
  'namespace_format',
  'projects_blacklist',
  'projects_name_blacklist',
  'role_mappings',
];
const MAPPING_KEYS = ['keystone_role', 'username', 'groups'];

function fail(file: string, message: string): never {
  throw new ConfigError(`${file}: ${message}`, { hint: 'correct it as described in docs/webhook/synchronization.md' });
}

function readTextList(mapping: YamlMapping, key: string, file: string): readonly string[] | undefined {
  const value = mapping.get(key) ?? null;
  if (value === null) return undefined;
  return isTextList(value) ? value : fail(file, `${key} must be a list of strings`);
}

function readText(mapping: YamlMapping, key: string, file: string): string | undefined {
  const value = mapping.get(key) ?? null;
  if (value === null || value === '') return undefined;
  return typeof value === 'string' ? value : fail(file, `${key} must be a string`);
}

/** Words of a key that was probably meant to leave something out. */
const EXCLUSION = /black_?list|block_?list|deny|except|exclu|ignore|skip/i;

type UnknownKeyReporter = (key: string) => void;

/**
 * Refuses unknown keys that were probably meant as one of these or as an exclusion, because without it more would be
 * synchronized than the author wants; reports the others.
 */
function checkUnknownKeys(
  mapping: YamlMapping,
  keys: readonly string[],
  file: string,
  onUnknownKey: UnknownKeyReporter,
): void {
  for (const key of mapping.keys()) {
    if (keys.includes(key)) continue;
    const similar = keys.find((known) => isSimilarName(key, known));
    if (similar !== undefined) fail(file, `the key "${key}" is unknown; did you mean "${similar}"?`);
    if (EXCLUSION.test(key)) fail(file, `the key "${key}" is unknown`);
    onUnknownKey(key);
  }
}

function readRoleMapping(entry: YamlValue, file: string, onUnknownKey: UnknownKeyReporter): RoleMapping {
  if (!(entry instanceof Map)) return fail(file, 'an entry of role_mappings must be a mapping');
  const mapping = unifyKeys(entry, 'role_mappings');
  checkUnknownKeys(mapping, MAPPING_KEYS, file, onUnknownKey);
  const role = readText(mapping, 'keystone_role', file);
  if (role === undefined) return fail(file, 'an entry of role_mappings lacks keystone-role');
  return { role, username: readText(mapping, 'username', file), groups: readTextList(mapping, 'groups', file) ?? [] };
}

function readRoleMappings(
  mapping: YamlMapping,
  file: string,
  onUnknownKey: UnknownKeyReporter,
): readonly RoleMapping[] {
  const value = mapping.get('role_mappings') ?? [];
  if (!Array.isArray(value)) return fail(file, 'role_mappings must be a list');
  return value.map((entry: YamlValue) => readRoleMapping(entry, file, onUnknownKey));
}

const FORMAT = /^[a-z\d][a-z\d_.-]*[a-z\d]$/i;

/** Reads `namespace-format` with the checks of the Go program. */
function readNamespaceFormat(mapping: YamlMapping, file: string): string {
  const format = readText(mapping, 'namespace_format', file) ?? DEFAULT_SYNC_CONFIG.namespaceFormat;
  // Two projects must never share a namespace.
  if (!format.includes('%i')) fail(file, 'namespace_format must contain %i');
  if (!FORMAT.test(format.replaceAll(/%[ind]/g, 'aa'))) {
    const characters = 'letters, digits, "-", "_" and "."';
    fail(file, `namespace_format must consist of %i, %n, %d, ${characters}, with a letter or digit at both ends`);
  }
  return format;
}

/**
 * Parses a configuration, whose keys may have dashes or underscores.
 *
 * @param file where the text comes from, for messages
 * @param onUnknownKey takes the keys that are ignored
 * @throws ConfigError
 */
export function parseSyncConfig(
  text: string,
  file: string,
  onUnknownKey: UnknownKeyReporter = () => undefined,
): SyncConfig {
  const mapping = unifyKeys(parseYaml(Buffer.from(text), file, SERVER_LIMITS), file);
  checkUnknownKeys(mapping, KEYS, file, onUnknownKey);
  const types = readTextList(mapping, 'data_types_to_sync', file) ?? [];
  const unknownType = types.find((type) => !TYPES.includes(type));
  if (unknownType !== undefined) fail(file, `data_types_to_sync supports ${TYPES.join(' and ')}, not "${unknownType}"`);
  return {
    syncsProjects: types.includes('projects'),
    syncsRoleAssignments: types.includes('role_assignments'),
    namespaceFormat: readNamespaceFormat(mapping, file),
    excludedProjectIds: readTextList(mapping, 'projects_blacklist', file) ?? [],
    excludedProjectNames: readTextList(mapping, 'projects_name_blacklist', file) ?? [],
    roleMappings: readRoleMappings(mapping, file, onUnknownKey),
  };
}
