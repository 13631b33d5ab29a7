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

const countSlashes = (word: string): number => word.split('/').length - 1;

/** Parses a key; undefined if it is invalid. */
export function parseKeyPattern(key: string, compatibilities: Compatibilities): KeyPattern | undefined {
  const text = key.toLowerCase();
  const slashIndex = text.indexOf('/');
  if (slashIndex < 0) return undefined;
  const namespace = parseSide(text.slice(0, slashIndex));
  const resource = parseSide(text.slice(slashIndex + 1));
  if (namespace === undefined || resource === undefined) return undefined;
  const maxSlashes = compatibilities.has('v2-subresources') ? 0 : 1;
  const isValid = resource.words.every((word) => countSlashes(word) <= maxSlashes && !/^\/|\/$/.test(word));
  return isValid ? { namespace, resource } : undefined;
}

const matchesAll = ({ hasSpacedNegation }: PatternSide, compatibilities: Compatibilities): boolean =>
  hasSpacedNegation && compatibilities.has('spaced-negation');

/** Reads a key and reports its problems; undefined if it never matches. */
export function readKeyPattern(
  key: string,
  compatibilities: Compatibilities,
  report: FindingReporter,
): KeyPattern | undefined {
  const pattern = parseKeyPattern(key, compatibilities);
  if (pattern === undefined) {
    report('never', `"${key}" is not a key such as "namespace/resource"`);
    return undefined;
  }
  const sides = [pattern.namespace, pattern.resource];
  if (sides.some((side) => side.isNegated && side.words.includes('*') && !matchesAll(side, compatibilities))) {
    report('never', `"${key}" excludes everything`);
    return undefined;
  }
  if (sides.some(({ hasSpacedNegation }) => hasSpacedNegation)) {
    report('fault', `"${key}": with a space after the "!", the Go program excluded nothing`);
  }
  return pattern;
}

/** Uses sets, because a request may be tested against a thousand entries. */
function compileNamespace(
  { isNegated, isList, words }: PatternSide,
  matchesAny: boolean,
): (namespace: string) => boolean {
  // An empty namespace is a request for the whole cluster, or for all namespaces.
  const includesCluster = !isNegated && !isList && words[0] === '*';
  const hasWildcard = words.includes('*');
  const names = new Set(words);
  return (namespace) =>
    namespace === '' ? includesCluster : matchesAny || (hasWildcard || names.has(namespace)) !== isNegated;
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

/** Compiles a key. */
export function compileKeyPattern({ namespace, resource }: KeyPattern, compatibilities: Compatibilities): CompiledKey {
  const matchesNamespace = compileNamespace(namespace, matchesAll(namespace, compatibilities));
  const matchesAnyResource = matchesAll(resource, compatibilities);
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
