/** Redacts a kubeconfig for display. Everything is redacted unless it is known to be harmless. */
import type { Span, StreamTree, Tree } from './yaml-tree.ts';

const REDACTED = '[redacted]';

/** Keys with values that name a server, a user or a file, never a credential. */
const HARMLESS_KEYS = new Set([
  'apiVersion',
  'kind',
  'current-context',
  'name',
  'cluster',
  'user',
  'context',
  'namespace',
  'server',
  'tls-server-name',
  'proxy-url',
  'certificate-authority',
  'client-certificate',
  'client-key',
  'tokenFile',
  'as',
  'as-uid',
  'as-groups',
  'command',
  'interactiveMode',
  'installHint',
  'identityEndpoint',
]);

/** Names of flags that take a secret. */
const SECRET_FLAG = /^--?[\w-]*(?:passw|secret|token|passcode|key|code|otp|jwt|credential)[\w-]*$/i;
const HARMLESS_FLAG = /-(?:id|name|file|type|kind|endpoint|method|url|audience|cacert)$/i;

/** No option has a longer name. The patterns take long to see that a long text does not match. */
const MAX_FLAG = 100;

const isSecretFlag = (flag: string): boolean =>
  flag.length > MAX_FLAG || (SECRET_FLAG.test(flag) && !HARMLESS_FLAG.test(flag));

/** Redacts the arguments of a program. */
export function hideArguments(args: readonly string[]): string[] {
  let isNextSecret = false;
  return args.map((argument) => {
    const isSecret = isNextSecret;
    const [flag = ''] = argument.split('=', 1);
    const isFlag = argument.startsWith('-');
    isNextSecret = !isSecret && isFlag && flag === argument && isSecretFlag(flag);
    if (isSecret) return REDACTED;
    if (isFlag && flag !== argument && isSecretFlag(flag)) return `${flag}=${REDACTED}`;
    // An argument that is not a flag can be a shell command.
    return isFlag || /^[\w./:@-]{1,64}$/.test(argument) ? hideUserInfo(argument) : REDACTED;
  });
}

/** Redacts the values of variables, except those of the harmless ones. */
export function hideVariables(
  env: Readonly<Record<string, string>>,
  harmless: ReadonlySet<string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, harmless.has(name) ? hideUserInfo(value) : REDACTED]),
  );
}

/** Redacts the user name and password of every URL in a text. */
export function hideUserInfo(text: string): string {
  return text.replaceAll(/(\/\/)[^/@\s]*@/g, `$1${REDACTED}@`);
}

/** In a line of YAML or JSON, a quote ends the URL. */
function hideUserInfoInLine(line: string): string {
  return line.replaceAll(/(\/\/)[^/@\s"']*@/g, `$1${REDACTED}@`);
}

/** A span of a text, and what is shown instead of it. */
interface Redaction extends Span {
  readonly replacement: string;
}

/** Collects what must be redacted. */
class Redactions {
  readonly list: Redaction[] = [];
  readonly #harmless: ReadonlySet<string>;

  /** @param harmless names of the variables with values that can be shown */
  constructor(harmless: ReadonlySet<string>) {
    this.#harmless = harmless;
  }

  hide({ start, end }: Span, replacement = REDACTED): void {
    if (end > start) this.list.push({ start, end, replacement });
  }

  visit(tree: Tree, key: string): void {
    if (tree.kind === 'map') this.#visitMap(tree.pairs);
    else if (tree.kind === 'list') {
      if (key === 'args') this.#visitArguments(tree.items.map(({ value }) => value));
      else for (const { value } of tree.items) this.visit(value, key);
    } else if (
      tree.kind === 'scalar' &&
      !HARMLESS_KEYS.has(key) &&
      typeof tree.value !== 'boolean' &&
      tree.value !== null
    ) {
      this.hide(tree);
    }
  }

  #visitMap(pairs: readonly { readonly key: string; readonly value: Tree }[]): void {
    const name = pairs.find(({ key }) => key === 'name')?.value;
    const isHarmless = name?.kind === 'scalar' && this.#harmless.has(String(name.value));
    for (const { key, value } of pairs) {
      if (key !== 'value' || !isHarmless) this.visit(value, key);
    }
  }

  #visitArguments(items: readonly Tree[]): void {
    const texts = items.map((item) => (item.kind === 'scalar' ? String(item.value) : ''));
    for (const [index, redacted] of hideArguments(texts).entries()) {
      const item = items[index];
      if (item !== undefined && redacted !== texts[index]) this.hide(item, redacted);
    }
  }
}

/** Long strings in a comment can be old tokens. */
const TOKEN_LIKE = /[\w+/=.-]{20,}/g;
const SECRET_ASSIGNMENT = /((?:passw|secret|token|passcode|key|credential)[\w-]*["']?\s*[:=]\s*).*/i;

/** A longer comment is hidden as a whole: the patterns take long for a long text. */
const MAX_COMMENT = 2_000;

function hideInComment(text: string): string {
  if (text.length > MAX_COMMENT) return `# ${REDACTED}`;
  return text.replace(SECRET_ASSIGNMENT, `$1${REDACTED}`).replaceAll(TOKEN_LIKE, REDACTED);
}

/**
 * Redacts a kubeconfig line by line: the result has as many lines as the text.
 *
 * @param harmless names of the variables with values that can be shown
 */
export function hideSecretsInLines(
  text: string,
  { documents, comments }: StreamTree,
  harmless: ReadonlySet<string>,
): string[] {
  const redactions = new Redactions(harmless);
  for (const { root } of documents) if (root !== undefined) redactions.visit(root, '');
  for (const { start, end } of comments) redactions.hide({ start, end }, hideInComment(text.slice(start, end)));
  const ordered = redactions.list.toSorted((a, b) => a.start - b.start);
  let [lineStart, next] = [0, 0];
  return text.split('\n').map((line) => {
    const lineEnd = lineStart + line.length;
    let [result, position] = ['', lineStart];
    while ((ordered[next]?.end ?? Number.POSITIVE_INFINITY) <= lineStart) next += 1;
    for (let index = next; index < ordered.length; index += 1) {
      const { start, end, replacement } = ordered[index] ?? { start: lineEnd, end: lineEnd, replacement: '' };
      if (start >= lineEnd) break;
      if (end <= lineStart) continue;
      result += text.slice(position, Math.max(position, start)) + (start >= lineStart ? replacement : REDACTED);
      position = Math.min(lineEnd, end);
    }
    result += text.slice(position, lineEnd);
    lineStart = lineEnd + 1;
    return hideUserInfoInLine(result.replace(/\r$/, ''));
  });
}
