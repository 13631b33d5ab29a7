/** Reads a policy from what an operator has: a JSON file, also one with a byte order mark, or a ConfigMap. */
import { ConfigError } from '../../shared/base/errors.ts';
import { parseYaml } from '../../shared/options/yaml.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';
import type { Compatibilities } from '../authz/policy/compatibility.ts';
import { InvalidPolicyError } from '../authz/policy/policy-error.ts';
import { describeInvalidPolicy, parsePolicy } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';

const KEY = 'policies';

/** A text that says that it is a ConfigMap, in YAML or in JSON. */
const CONFIG_MAP = /^kind:\s*["']?ConfigMap\b|"kind"\s*:\s*"ConfigMap"/m;

const isMapping = (value: YamlValue): value is YamlMapping => value instanceof Map;

function findPolicyText(configMap: YamlMapping, where: string): string {
  const data = configMap.get('data') ?? null;
  const text = isMapping(data) ? data.get(KEY) : undefined;
  if (typeof text === 'string') return text;
  throw new ConfigError(`${where}: the ConfigMap has no key "${KEY}"`, {
    hint: `put the policy into data.${KEY} of the ConfigMap`,
  });
}

/** Removes what surrounds a policy; the second text says where the policy is. */
function unwrap(text: string, where: string): readonly [text: string, where: string] {
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text;
  if (content.trimStart().startsWith('[') || !CONFIG_MAP.test(content)) return [content, where];
  return [findPolicyText(parseYaml(Buffer.from(content), where), where), `${where}, data.${KEY}`];
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
 * @throws ConfigError that says where the problem is
 */
export function readPolicy(text: string, where: string, compatibilities: Compatibilities): PlacedPolicy {
  const [policyText, place] = unwrap(text, where);
  try {
    return { policy: parsePolicy(policyText, compatibilities), place };
  } catch (error) {
    if (!(error instanceof InvalidPolicyError)) throw error;
    throw new ConfigError(`${place}: ${describeInvalidPolicy(policyText, error)}`, {
      hint: 'check the policy with "policy lint"',
    });
  }
}
