/**
 * One thing that a user can set. It drives the flag, the variables, the prompt, redaction and the tables in the
 * documents. A program names its options in a union type, so that a misspelled name does not compile.
 */
export interface Option<Name extends string = string, Group extends string = string> {
  /** Name of the flag without dashes; with underscores it is the name in keystoneauth. */
  readonly name: Name;
  /** Heading in `--help` and in the tables. */
  readonly group: Group;
  /** One phrase without a full stop. */
  readonly help: string;
  /**
   * `seconds` is a whole positive number; a `switch` takes no value; a `level` takes none either and counts (`-vvv`); a
   * `switch or file` is a path unless it is a word for on or off.
   */
  readonly kind?: 'text' | 'file' | 'switch' | 'switch or file' | 'seconds' | 'level';
  /** False if only a variable or a file can set it. */
  readonly flag?: false;
  /** Aliases of the flag. */
  readonly aliases?: readonly string[];
  /** Variables that set it; the first one takes precedence. */
  readonly env?: readonly string[];
  /** Variables that count only if no variable of the whole pair is set. */
  readonly legacyEnv?: readonly string[];
  /** Options that name one thing in two ways: a layer that sets one of them replaces both. */
  readonly pair?: string;
  /**
   * Where clouds.yaml holds the option, under its names with underscores and the names of its variables without `OS_`:
   * below `auth` (the default), next to `auth`, or nowhere. clouds.yaml never holds options of the groups Cache and
   * Run.
   */
  readonly file?: 'cloud' | 'nowhere';
  /** A list in clouds.yaml, and its values separated by commas elsewhere. */
  readonly list?: true;
  /**
   * Which values decide where secrets go or which server to trust with them: all, this one of a switch, or all except
   * on. A file that was only found in the current folder must not set such a value for a secret from elsewhere.
   */
  readonly trustSensitive?: true | 'true' | 'unless true';
  /** Never printed anywhere. */
  readonly secret?: true;
  /** A secret that a server made: no space, line break or quote around it can belong to it. */
  readonly isToken?: true;
  /** A secret that works once, so the next login needs another one. */
  readonly singleUse?: true;
  /** The address of a server, which a prompt completes with https://. */
  readonly isUrl?: true;
  /** What a prompt asks for, as a noun. */
  readonly prompt?: string;
  /** What a prompt offers. */
  readonly suggestion?: string;
  /** The values that are allowed. */
  readonly choices?: readonly string[];
}

/** Describes how to set an option, best way first: `OS_USERNAME (--user-name)`. */
export function describeSources(option: Option): string {
  const variable = option.env?.[0];
  const flag = option.flag === false || option.secret ? undefined : `--${option.name}`;
  if (variable === undefined) return flag ?? option.name;
  return flag === undefined ? variable : `${variable} (${flag})`;
}

/** First words of prompts that are names, so they keep their capital. */
const PROPER_NAMES = ['Keystone', 'Kubernetes'];

/** Names an option within a sentence, without the remark of its prompt: `user name`, `Keystone URL`, `JWT`. */
export function nameInSentence({ prompt, name }: Option): string {
  const [firstWord = '', ...others] = (prompt ?? name).replace(/ \(.*\)$/, '').split(' ');
  const isName = PROPER_NAMES.includes(firstWord) || !/^[A-Z][a-z]+$/.test(firstWord);
  return [isName ? firstWord : firstWord.toLowerCase(), ...others].join(' ');
}
