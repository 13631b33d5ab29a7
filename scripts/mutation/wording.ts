/**
 * Tells Stryker not to mutate text for people: a mutant of it shows only whether a test repeats the wording. Text is
 * what contains a space. Other strings are mutated: names, keys, codes and paths.
 */
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';
import type { Ignorer, NodePath } from '@stryker-mutator/api/ignore';

/** The name of the plugin in Stryker's options. */
export const WORDING = 'wording';

interface Template {
  readonly quasis: readonly { readonly value: { readonly raw: string } }[];
  readonly expressions: readonly { readonly type: string }[];
}

/** Expressions without a decision, which can be ignored together with the text around them. */
const PLAIN = new Set(['Identifier', 'MemberExpression']);

function isWording(node: unknown): boolean {
  const { type, value, quasis, expressions } = node as { type: string; value?: unknown } & Partial<Template>;
  if (type === 'StringLiteral') return typeof value === 'string' && value.includes(' ');
  if (type !== 'TemplateLiteral' || quasis === undefined || expressions === undefined) return false;
  return quasis.some((quasi) => quasi.value.raw.includes(' ')) && expressions.every((part) => PLAIN.has(part.type));
}

const ignorer: Ignorer = {
  shouldIgnore: (path: NodePath & { readonly node?: unknown }) =>
    isWording(path.node) ? 'text for people' : undefined,
};

export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, WORDING, ignorer)];
