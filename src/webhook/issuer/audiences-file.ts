/** Reads the file of the audiences, in YAML or JSON. A key that is unknown makes the whole file invalid. */
import { ConfigError } from '../../shared/base/errors.ts';
import { isTextList } from '../../shared/base/json-members.ts';
import { findSimilarName } from '../../shared/base/similar-name.ts';
import { unifyKeys } from '../../shared/options/unify-keys.ts';
import { parseYaml, SERVER_LIMITS } from '../../shared/options/yaml.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';
import { isId, OPTIONAL_CLAIMS } from './audience.ts';
import type { Audience, AudienceRule, Audiences, OptionalClaim } from './audience.ts';
import { MAX_TOKEN_LIFETIME_MS } from './key-schedule.ts';

const DEFAULT_LIFETIME_SECONDS = 600;
const MIN_LIFETIME_SECONDS = 60;
const MAX_LIFETIME_SECONDS = MAX_TOKEN_LIFETIME_MS / 1_000;

/** What fits into a claim and into a form without surprises. */
const AUDIENCE_NAME = /^[\x21-\x7e]{1,255}$/;

const HINT = 'correct it as described in docs/webhook/issuer.md';

class Reader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  fail(message: string): never {
    throw new ConfigError(`${this.#file}: ${message}`, { hint: HINT });
  }

  /** Reads a mapping with these keys only, whose dashes may be underscores. */
  mapping(value: YamlValue, keys: readonly string[], where: string): YamlMapping {
    if (!(value instanceof Map)) return this.fail(`${where} must be a mapping`);
    const mapping = unifyKeys(value, `${this.#file}: ${where}`);
    for (const key of mapping.keys()) {
      if (keys.includes(key)) continue;
      const similar = findSimilarName(key, keys);
      const list = keys.join(', ').replaceAll('_', '-');
      const advice = similar === undefined ? `its keys are ${list}` : `did you mean "${similar.replaceAll('_', '-')}"?`;
      this.fail(`${where} has an unknown key "${key}"; ${advice}`);
    }
    return mapping;
  }

  list(value: YamlValue | undefined, where: string): readonly YamlValue[] {
    return Array.isArray(value) && value.length > 0
      ? (value as readonly YamlValue[])
      : this.fail(`${where} must be a list that is not empty`);
  }

  /** Reads a list of texts; undefined if the key is absent. An empty list is a mistake, because it could mean all or none. */
  texts(mapping: YamlMapping, key: string, where: string): readonly string[] | undefined {
    if (!mapping.has(key)) return undefined;
    const value = this.list(mapping.get(key), `${key} of ${where}`);
    if (!isTextList(value) || value.includes('')) return this.fail(`${key} of ${where} must be a list of strings`);
    const repeated = value.find((text, index) => value.indexOf(text) !== index);
    if (repeated !== undefined) this.fail(`${key} of ${where} contains "${repeated}" twice`);
    if (value.includes('*'))
      this.fail(`${key} of ${where} contains "*", which is not a name; leave ${key} out for any`);
    return value;
  }
}

function checkProjects(projects: readonly string[], where: string, reader: Reader): void {
  const wrong = projects.find((text) => !isId(text) && !/^[^/]+\/[^/]+$/.test(text));
  if (wrong === undefined) return;
  reader.fail(
    `projects of ${where} contains "${wrong}"; the name of a project is unique in its domain only, so write its ID, ` +
      'DOMAIN/NAME, or DOMAIN/* for all projects of a domain',
  );
}

function readRule(value: YamlValue, where: string, reader: Reader): AudienceRule {
  const mapping = reader.mapping(value, ['roles', 'projects', 'domains'], where);
  const projects = reader.texts(mapping, 'projects', where);
  if (projects !== undefined) checkProjects(projects, where, reader);
  const [roles, domains] = [reader.texts(mapping, 'roles', where), reader.texts(mapping, 'domains', where)];
  if (roles === undefined && projects === undefined && domains === undefined) {
    reader.fail(`${where} must have roles, projects or domains`);
  }
  return { roles: roles ?? [], projects, domains };
}

function readLifetimeMs(mapping: YamlMapping, where: string, reader: Reader): number {
  // A key without a value is a mistake, as elsewhere: the default could be longer than what was meant.
  if (!mapping.has('lifetime_seconds')) return DEFAULT_LIFETIME_SECONDS * 1_000;
  const text = mapping.get('lifetime_seconds');
  const seconds = typeof text === 'string' && /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (seconds < MIN_LIFETIME_SECONDS || seconds > MAX_LIFETIME_SECONDS) {
    reader.fail(`lifetime-seconds of ${where} must be from ${MIN_LIFETIME_SECONDS} to ${MAX_LIFETIME_SECONDS}`);
  }
  return seconds * 1_000;
}

const isOptionalClaim = (name: string): name is OptionalClaim => OPTIONAL_CLAIMS.some((claim) => claim === name);

function readClaims(mapping: YamlMapping, where: string, reader: Reader): ReadonlySet<OptionalClaim> {
  const names = reader.texts(mapping, 'claims', where) ?? OPTIONAL_CLAIMS;
  const unknown = names.find((name) => !isOptionalClaim(name));
  if (unknown !== undefined) {
    reader.fail(`claims of ${where} contains "${unknown}"; possible are ${OPTIONAL_CLAIMS.join(', ')}`);
  }
  return new Set(names.filter(isOptionalClaim));
}

function readAudience(value: YamlValue, index: number, reader: Reader): Audience {
  const place = `entry ${index + 1} of audiences`;
  const mapping = reader.mapping(value, ['name', 'lifetime_seconds', 'claims', 'allow'], place);
  const name = mapping.get('name');
  if (typeof name !== 'string' || !AUDIENCE_NAME.test(name)) {
    return reader.fail(`${place} needs a name of 1 to 255 visible ASCII characters`);
  }
  const where = `audience "${name}"`;
  const rules = reader.list(mapping.get('allow'), `allow of ${where}`);
  return {
    name,
    lifetimeMs: readLifetimeMs(mapping, where, reader),
    claims: readClaims(mapping, where, reader),
    rules: rules.map((rule, number) => readRule(rule, `rule ${number + 1} of ${where}`, reader)),
  };
}

/**
 * Parses the file of the audiences.
 *
 * @param file where the text comes from, for messages
 * @throws ConfigError
 */
export function parseAudiences(text: string, file: string): Audiences {
  const reader = new Reader(file);
  const mapping = reader.mapping(parseYaml(Buffer.from(text), file, SERVER_LIMITS), ['audiences'], 'the file');
  const audiences = new Map<string, Audience>();
  const names = new Map<string, string>();
  for (const [index, value] of reader.list(mapping.get('audiences'), 'audiences').entries()) {
    const audience = readAudience(value, index, reader);
    const folded = audience.name.toLowerCase();
    const other = names.get(folded);
    // Two names that differ in capitals alone are a trap for whoever configures the clusters.
    if (other !== undefined) reader.fail(`the audiences "${other}" and "${audience.name}" have the same name`);
    names.set(folded, audience.name);
    audiences.set(audience.name, audience);
  }
  return audiences;
}
