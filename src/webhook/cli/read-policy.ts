/**
 * Reads a policy from what an operator has: a JSON file, also one with a byte order mark, or a ConfigMap, also among other
 * objects of a manifest or in a list as kubectl prints it.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import { parseYamlDocuments, SERVER_LIMITS } from '../../shared/options/yaml.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';
import type { Compatibilities } from '../authz/policy/compatibility.ts';
import { InvalidPolicyError } from '../authz/policy/policy-error.ts';
import { describeInvalidPolicy, parsePolicy } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';

const KEY = 'policies';

/** A text that says that it contains a ConfigMap, in YAML or in JSON. */
const CONFIG_MAP = /^[ -]*kind:\s*["']?ConfigMap\b|"kind"\s*:\s*"ConfigMap"/m;

const isMapping = (value: YamlValue): value is YamlMapping => value instanceof Map;

/** The objects of a document: itself, or the items of a list. */
function listObjects(document: YamlValue): readonly YamlMapping[] {
  if (!isMapping(document)) return [];
  const items = document.get('items');
  return Array.isArray(items) ? items.filter(isMapping) : [document];
}

function readPolicyKey(object: YamlMapping): string | undefined {
  const data = object.get('kind') === 'ConfigMap' ? (object.get('data') ?? null) : null;
  const text = isMapping(data) ? data.get(KEY) : undefined;
  return typeof text === 'string' ? text : undefined;
}

function findPolicyText(documents: readonly YamlValue[], where: string): string {
  const [text, ...others] = documents.flatMap(listObjects).flatMap((object) => readPolicyKey(object) ?? []);
  if (others.length > 0) {
    throw new ConfigError(`${where}: several ConfigMaps have a key "${KEY}"`, { hint: 'name a file with one of them' });
  }
  if (text !== undefined) return text;
  throw new ConfigError(`${where}: the ConfigMap has no key "${KEY}"`, {
    hint: `put the policy into data.${KEY} of the ConfigMap`,
  });
}

/** Removes what surrounds a policy; the second text says where the policy is. */
function unwrap(text: string, where: string): readonly [text: string, where: string] {
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text;
  if (content.trimStart().startsWith('[') || !CONFIG_MAP.test(content)) return [content, where];
  return [
    findPolicyText(parseYamlDocuments(Buffer.from(content), where, SERVER_LIMITS), where),
    `${where}, data.${KEY}`,
  ];
}

/** A policy and where its text is, to which the positions of its findings refer. */
export interface PlacedPolicy {
  readonly policy: Policy;
  readonly place: string;
}

/**
 * Reads a policy.
 *
 * @param where where the text comes from, for messages
 * @param hint what to do about a policy that is invalid
 * @throws ConfigError that says where the problem is
 */
export function readPolicy(text: string, where: string, compatibilities: Compatibilities, hint?: string): PlacedPolicy {
  const [policyText, place] = unwrap(text, where);
  try {
    return { policy: parsePolicy(policyText, compatibilities), place };
  } catch (error) {
    if (!(error instanceof InvalidPolicyError)) throw error;
    throw new ConfigError(`${place}: ${describeInvalidPolicy(policyText, error)}`, { hint });
  }
}
