/** Role mappings, and what of Keystone's projects is to be found in the cluster too. */
import { unifyKeys } from '../../shared/options/yaml-mapping.ts';
import { parseYaml } from '../../shared/options/yaml.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { RoleMapping } from '../authn/role-mappings.ts';

export interface SyncConfig {
  readonly syncsProjects: boolean;
  readonly syncsRoleAssignments: boolean;
  /** `%i` the project's id, `%n` its name, `%d` the id of its domain. */
  readonly namespaceFormat: string;
  readonly excludedProjectIds: readonly string[];
  readonly excludedProjectNames: readonly string[];
  readonly roleMappings: readonly RoleMapping[];
}

/** What is done where nothing is said. */
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

const isText = (value: YamlValue): value is string => typeof value === 'string';

function fail(file: string, message: string): never {
  throw new ConfigError(`${file}: ${message}`, { hint: 'correct it; docs/webhook/synchronisation.md shows what it holds' });
}

function readTexts(mapping: YamlMapping, key: string, file: string): readonly string[] | undefined {
  const value = mapping.get(key) ?? null;
  if (value === null) return undefined;
  if (Array.isArray(value) && value.every(isText)) return value;
  return fail(file, `${key} must be a list of texts`);
}

function readText(mapping: YamlMapping, key: string, file: string): string | undefined {
  const value = mapping.get(key) ?? null;
  if (value === null || value === '') return undefined;
  return isText(value) ? value : fail(file, `${key} must be text`);
}

function refuseUnknown(mapping: YamlMapping, known: readonly string[], file: string): void {
  const unknown = [...mapping.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined) fail(file, `"${unknown}" is not understood`);
}

function readMappings(mapping: YamlMapping, file: string): readonly RoleMapping[] {
  const value = mapping.get('role_mappings') ?? [];
  if (!Array.isArray(value)) return fail(file, 'role_mappings must be a list');
  return value.map((entry: YamlValue) => {
    if (!(entry instanceof Map)) return fail(file, 'an entry of role_mappings must be a mapping');
    const own = unifyKeys(entry, 'role_mappings');
    refuseUnknown(own, MAPPING_KEYS, file);
    const role = readText(own, 'keystone_role', file);
    if (role === undefined) return fail(file, 'an entry of role_mappings lacks keystone-role');
    return { role, username: readText(own, 'username', file), groups: readTexts(own, 'groups', file) ?? [] };
  });
}

/**
 * Reads a configuration; keys may be written with dashes or underscores.
 *
 * @param file where it is from, for messages
 * @throws ConfigError
 */
export function parseSyncConfig(text: string, file: string): SyncConfig {
  const mapping = unifyKeys(parseYaml(Buffer.from(text), file), file);
  refuseUnknown(mapping, KEYS, file);
  const types = readTexts(mapping, 'data_types_to_sync', file)?.map((type) => type.replaceAll('-', '_'));
  const strange = types?.find((type) => !TYPES.includes(type));
  if (strange !== undefined) fail(file, `data_types_to_sync knows ${TYPES.join(' and ')}, not "${strange}"`);
  const namespaceFormat = readText(mapping, 'namespace_format', file) ?? DEFAULT_SYNC_CONFIG.namespaceFormat;
  // Two projects must never share a namespace.
  if (!namespaceFormat.includes('%i')) fail(file, 'namespace_format must hold %i');
  return {
    syncsProjects: types?.includes('projects') ?? DEFAULT_SYNC_CONFIG.syncsProjects,
    syncsRoleAssignments: types?.includes('role_assignments') ?? DEFAULT_SYNC_CONFIG.syncsRoleAssignments,
    namespaceFormat,
    excludedProjectIds: readTexts(mapping, 'projects_blacklist', file) ?? [],
    excludedProjectNames: readTexts(mapping, 'projects_name_blacklist', file) ?? [],
    roleMappings: readMappings(mapping, file),
  };
}
