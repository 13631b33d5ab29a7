/**
 * The configuration of the synchronization: role mappings, and what of a Keystone project is created in the cluster.
 */
import { isTextList } from '../../shared/base/json-members.ts';
import { unifyKeys } from '../../shared/options/unify-keys.ts';
import { parseYaml } from '../../shared/options/yaml.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { RoleMapping } from '../authn/role-mappings.ts';

export interface SyncConfig {
  readonly syncsProjects: boolean;
  readonly syncsRoleAssignments: boolean;
  /** `%i` the ID of the project, `%n` its name, `%d` the ID of its domain. */
  readonly namespaceFormat: string;
  readonly excludedProjectIds: readonly string[];
  readonly excludedProjectNames: readonly string[];
  readonly roleMappings: readonly RoleMapping[];
}

/** Applies to what the configuration does not set. */
export const DEFAULT_SYNC_CONFIG: SyncConfig = {
  syncsProjects: true,
  syncsRoleAssignments: true,
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
  throw new ConfigError(`${file}: ${message}`, { hint: 'correct it as described in docs/webhook/synchronisation.md' });
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

function refuseUnknownKeys(mapping: YamlMapping, keys: readonly string[], file: string): void {
  const unknown = [...mapping.keys()].find((key) => !keys.includes(key));
  if (unknown !== undefined) fail(file, `the key "${unknown}" is unknown`);
}

function readRoleMapping(entry: YamlValue, file: string): RoleMapping {
  if (!(entry instanceof Map)) return fail(file, 'an entry of role_mappings must be a mapping');
  const mapping = unifyKeys(entry, 'role_mappings');
  refuseUnknownKeys(mapping, MAPPING_KEYS, file);
  const role = readText(mapping, 'keystone_role', file);
  if (role === undefined) return fail(file, 'an entry of role_mappings lacks keystone-role');
  return { role, username: readText(mapping, 'username', file), groups: readTextList(mapping, 'groups', file) ?? [] };
}

function readRoleMappings(mapping: YamlMapping, file: string): readonly RoleMapping[] {
  const value = mapping.get('role_mappings') ?? [];
  if (!Array.isArray(value)) return fail(file, 'role_mappings must be a list');
  return value.map((entry: YamlValue) => readRoleMapping(entry, file));
}

/**
 * Parses a configuration, whose keys may have dashes or underscores.
 *
 * @param file where the text comes from, for messages
 * @throws ConfigError
 */
export function parseSyncConfig(text: string, file: string): SyncConfig {
  const mapping = unifyKeys(parseYaml(Buffer.from(text), file), file);
  refuseUnknownKeys(mapping, KEYS, file);
  const types = readTextList(mapping, 'data_types_to_sync', file)?.map((type) => type.replaceAll('-', '_'));
  const unknownType = types?.find((type) => !TYPES.includes(type));
  if (unknownType !== undefined) fail(file, `data_types_to_sync supports ${TYPES.join(' and ')}, not "${unknownType}"`);
  const namespaceFormat = readText(mapping, 'namespace_format', file) ?? DEFAULT_SYNC_CONFIG.namespaceFormat;
  // Two projects must never share a namespace.
  if (!namespaceFormat.includes('%i')) fail(file, 'namespace_format must contain %i');
  return {
    syncsProjects: types?.includes('projects') ?? DEFAULT_SYNC_CONFIG.syncsProjects,
    syncsRoleAssignments: types?.includes('role_assignments') ?? DEFAULT_SYNC_CONFIG.syncsRoleAssignments,
    namespaceFormat,
    excludedProjectIds: readTextList(mapping, 'projects_blacklist', file) ?? [],
    excludedProjectNames: readTextList(mapping, 'projects_name_blacklist', file) ?? [],
    roleMappings: readRoleMappings(mapping, file),
  };
}
