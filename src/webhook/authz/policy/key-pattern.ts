/**
 * Keys of version 2, `namespace/resource`. Each side is a word, `*`, `!word`, or a list `['a', 'b']` or `!['a', 'b']`.
 * On the right side a word may name a subresource (`pods/exec`, `pods/*`), and `*` includes all subresources.
 */
import type { ResourceRequest } from '../../review/access-request.ts';
import type { Compatibilities } from './compatibility.ts';
import type { SubresourceTest } from './connections.ts';
import type { FindingReporter } from './finding.ts';

/** The words of one side. */
export interface PatternSide {
  readonly isNegated: boolean;
  readonly isList: boolean;
  readonly words: readonly string[];
  /** A space follows the `!`. */
  readonly hasSpacedNegation: boolean;
}

export interface KeyPattern {
  readonly namespace: PatternSide;
  readonly resource: PatternSide;
}

const QUOTED = /^'([^']*)'$|^"([^"]*)"$/;

function parseWord(text: string): string | undefined {
  const trimmed = text.trim();
  const quoted = QUOTED.exec(trimmed);
  const word = quoted === null ? trimmed : (quoted[1] ?? quoted[2] ?? '').trim();
  return word === '' || /[\s'"[\],!]/.test(word) ? undefined : word;
}

function parseSide(text: string): PatternSide | undefined {
  const trimmed = text.trim();
  const isNegated = trimmed.startsWith('!');
  const operand = isNegated ? trimmed.slice(1) : trimmed;
  const body = operand.trim();
  const isList = body.startsWith('[');
  if (isList !== body.endsWith(']')) return undefined;
  const words = (isList ? body.slice(1, -1).split(',') : [body]).map(parseWord);
  if (!words.every((word) => word !== undefined)) return undefined;
  return { isNegated, isList, words, hasSpacedNegation: isNegated && operand !== body };
}

/** The index of the slash after the namespace: the first one outside a list. */
function findSlash(key: string): number {
  let depth = 0;
  for (let index = 0; index < key.length; index += 1) {
    const character = key[index];
    if (character === '[') depth += 1;
    else if (character === ']') depth -= 1;
    else if (character === '/' && depth === 0) return index;
  }
  return -1;
}

const countSlashes = (word: string): number => word.split('/').length - 1;

/** Parses a key; undefined if it is invalid. */
export function parseKeyPattern(key: string, compatibilities: Compatibilities): KeyPattern | undefined {
  const text = key.trim().toLowerCase();
  const slashIndex = findSlash(text);
  if (slashIndex < 0) return undefined;
  const namespace = parseSide(text.slice(0, slashIndex));
  const resource = parseSide(text.slice(slashIndex + 1));
  if (namespace === undefined || resource === undefined) return undefined;
  if (namespace.words.some((word) => countSlashes(word) > 0)) return undefined;
  const maxSlashes = compatibilities.has('v2-subresources') ? 0 : 1;
  const isValid = resource.words.every((word) => countSlashes(word) <= maxSlashes && !/^\/|\/$/.test(word));
  return isValid ? { namespace, resource } : undefined;
}

/** Uses sets, because a request may be tested against a thousand entries. */
function compileNamespace(
  { isNegated, isList, words }: PatternSide,
  matchesAll: boolean,
): (namespace: string) => boolean {
  // An empty namespace is a request for the whole cluster, or for all namespaces.
  const includesCluster = !isNegated && !isList && words[0] === '*';
  const hasWildcard = words.includes('*');
  const names = new Set(words);
  return (namespace) =>
    namespace === '' ? includesCluster : matchesAll || (hasWildcard || names.has(namespace)) !== isNegated;
}

/** @param includesSubresources whether a plain `pods` also covers its subresources */
function coversRequest(
  word: string,
  { resource, subresource }: Pick<ResourceRequest, 'resource' | 'subresource'>,
  includesSubresources: boolean,
): boolean {
  if (word === '*') return true;
  const [resourceWord = '', subresourceWord] = word.split('/');
  if (resourceWord !== '*' && resourceWord !== resource) return false;
  if (subresourceWord === undefined) return includesSubresources || subresource === '';
  return subresourceWord === '*' ? subresource !== '' : subresourceWord === subresource;
}

export interface CompiledKey {
  readonly matches: (request: ResourceRequest) => boolean;
  readonly coversResource: SubresourceTest;
}

/** Compiles a key; undefined if it never matches. */
export function compileKeyPattern(
  key: string,
  compatibilities: Compatibilities,
  report: FindingReporter,
): CompiledKey | undefined {
  const pattern = parseKeyPattern(key, compatibilities);
  if (pattern === undefined) {
    report('never', `"${key}" is not a key such as "namespace/resource"`);
    return undefined;
  }
  const { namespace, resource } = pattern;
  const sides = [namespace, resource];
  const matchesAll = ({ hasSpacedNegation }: PatternSide): boolean =>
    hasSpacedNegation && compatibilities.has('spaced-negation');
  if (sides.some((side) => side.isNegated && side.words.includes('*') && !matchesAll(side))) {
    report('never', `"${key}" excludes everything`);
    return undefined;
  }
  if (sides.some(({ hasSpacedNegation }) => hasSpacedNegation)) {
    report('fault', `"${key}": with a space after the "!", the Go program excluded nothing`);
  }
  const matchesNamespace = compileNamespace(namespace, matchesAll(namespace));
  const matchesAnyResource = matchesAll(resource);
  // A negation such as `!pods` also excludes the subresources.
  const includesSubresources = compatibilities.has('v2-subresources') || resource.isNegated;
  const covers = (request: Pick<ResourceRequest, 'resource' | 'subresource'>): boolean =>
    matchesAnyResource ||
    resource.words.some((word) => coversRequest(word, request, includesSubresources)) !== resource.isNegated;
  return {
    matches: (request) => matchesNamespace(request.namespace) && covers(request),
    coversResource: (name, subresource, isNamespaced) =>
      (isNamespaced || matchesNamespace('')) && covers({ resource: name, subresource }),
  };
}
