/** A kubeconfig's lines as they may be shown: what is not known to be harmless is hidden. */
import { makePrintable } from '../../shared/base/printable.ts';
import type { Span, StreamTree, Tree } from './yaml-tree.ts';

const HIDDEN = '[redacted]';

/** Keys whose values say where and as whom, never with what. */
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

/** Names of flags that take what nobody may see. */
const SECRET_FLAG = /^--?[\w-]*(?:passw|secret|token|passcode|key|code|otp|jwt|credential)[\w-]*$/i;
const HARMLESS_FLAG = /-(?:id|name|file|type|kind|endpoint|method|url)$/i;

const isSecretFlag = (flag: string): boolean => SECRET_FLAG.test(flag) && !HARMLESS_FLAG.test(flag);

/** The arguments of a program as they may be shown. */
export function hideArguments(args: readonly string[]): string[] {
  let isValue = false;
  return args.map((argument) => {
    const hidden = isValue;
    const [flag = ''] = argument.split('=', 1);
    const isFlag = argument.startsWith('-');
    isValue = !hidden && isFlag && flag === argument && isSecretFlag(flag);
    if (hidden) return HIDDEN;
    if (isFlag && flag !== argument && isSecretFlag(flag)) return `${flag}=${HIDDEN}`;
    // A word that is no flag may be a line for a shell.
    return isFlag || /^[\w./:@-]{1,64}$/.test(argument) ? hideUserInfo(argument) : HIDDEN;
  });
}

/** Variables as they may be shown: the values of those that are known to be harmless. */
export function hideVariables(
  env: Readonly<Record<string, string>>,
  harmless: ReadonlySet<string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, harmless.has(name) ? hideUserInfo(value) : HIDDEN]),
  );
}

/** Whoever puts a password into a URL shall not read it here. */
export function hideUserInfo(text: string): string {
  return text.replaceAll(/(\/\/)[^/@\s]*@/g, `$1${HIDDEN}@`);
}

/** In a line of YAML or JSON, a quote ends the URL. */
function hideUserInfoInLine(line: string): string {
  return line.replaceAll(/(\/\/)[^/@\s"']*@/g, `$1${HIDDEN}@`);
}

/** A piece of a text that something else is shown for. */
interface Cover extends Span {
  readonly by: string;
}

/** Collects what is to be hidden. */
class Covers {
  readonly list: Cover[] = [];
  readonly #harmless: ReadonlySet<string>;

  /** @param harmless names of variables whose values may be seen */
  constructor(harmless: ReadonlySet<string>) {
    this.#harmless = harmless;
  }

  hide({ start, end }: Span, by = HIDDEN): void {
    if (end > start) this.list.push({ start, end, by });
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
    for (const [index, shown] of hideArguments(texts).entries()) {
      const item = items[index];
      if (item !== undefined && shown !== texts[index]) this.hide(item, shown);
    }
  }
}

/** What looks as if it were no word: a comment may hold the token of yesterday. */
const OPAQUE = /[\w+/=.-]{20,}/g;
const TELLING = /((?:passw|secret|token|passcode|key|credential)[\w-]*["']?\s*[:=]\s*).*/i;

function hideInComment(text: string): string {
  return text.replace(TELLING, `$1${HIDDEN}`).replaceAll(OPAQUE, HIDDEN);
}

/**
 * The lines of a kubeconfig as they may be shown, one for each.
 *
 * @param harmless names of variables whose values may be seen
 */
export function hideSecretsInLines(
  text: string,
  { documents, comments }: StreamTree,
  harmless: ReadonlySet<string>,
): string[] {
  const covers = new Covers(harmless);
  for (const { root } of documents) if (root !== undefined) covers.visit(root, '');
  for (const { start, end } of comments) covers.hide({ start, end }, hideInComment(text.slice(start, end)));
  const ordered = covers.list.toSorted((one, other) => one.start - other.start);
  let begin = 0;
  return text.split('\n').map((line) => {
    const end = begin + line.length;
    let [shown, done] = ['', begin];
    for (const cover of ordered) {
      if (cover.start >= end || cover.end <= begin) continue;
      shown += text.slice(done, Math.max(done, cover.start)) + (cover.start >= begin ? cover.by : HIDDEN);
      done = Math.min(end, cover.end);
    }
    shown += text.slice(done, end);
    begin = end + 1;
    return makePrintable(hideUserInfoInLine(shown.replace(/\r$/, '')));
  });
}
