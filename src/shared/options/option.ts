/** Headings of `--help` and of the README's tables, in their order. */
export const PLUGIN_OPTION_GROUPS = [
  'Command',
  'Keystone',
  'User',
  'Application credential',
  'Token',
  'Federation',
  'OpenID Connect',
  'Kubernetes',
  'OAuth 2.0 at Keystone',
  'Browser',
  'Scope',
  'TLS',
  'Cache',
  'Run',
] as const;

/** The same for k8s-keystone-auth. */
export const WEBHOOK_OPTION_GROUPS = [
  'Server',
  'Keystone',
  'Authentication',
  'OpenID Connect',
  'Authorization',
  'Synchronisation',
  'Run',
] as const;

export type OptionGroup = (typeof PLUGIN_OPTION_GROUPS)[number] | (typeof WEBHOOK_OPTION_GROUPS)[number];

/** One thing a user can set. It drives the flag, the variables, the prompt, redaction and the README's table. */
export interface Option {
  /** Name of the flag without dashes; with underscores it is keystoneauth's name. */
  readonly name: string;
  readonly group: OptionGroup;
  /** One phrase without a full stop. */
  readonly help: string;
  /** `seconds` are whole and positive; a `switch` takes no value, and neither does a `level`, which counts (`-vvv`). */
  readonly kind?: 'text' | 'file' | 'switch' | 'seconds' | 'level';
  /** False for what can be set by a variable only. */
  readonly flag?: false;
  /** Further names of the flag. */
  readonly aliases?: readonly string[];
  /** Variables that set it, best first. */
  readonly env?: readonly string[];
  /** Variables that count only where no variable of the whole pair is set. */
  readonly legacyEnv?: readonly string[];
  /** Options that name one thing in two ways: a layer that sets one of them replaces both. */
  readonly pair?: string;
  /**
   * Where clouds.yaml holds it, under its names with underscores and those of its variables without `OS_`: below `auth` if
   * nothing is said, beside that, or nowhere. Nothing of the groups Cache and Run is read from a file.
   */
  readonly file?: 'cloud' | 'nowhere';
  /** A list in clouds.yaml, and its values with commas between them elsewhere. */
  readonly list?: true;
  /**
   * It decides where secrets go or whom to trust with them (or does with this value of a switch): a file that merely lies
   * in the current folder must not set it for a secret from elsewhere.
   */
  readonly trustSensitive?: true | 'true' | 'false';
  /** Never printed anywhere. */
  readonly secret?: true;
  /** Secret, but random and the identity itself: it may enter a hash that is stored. */
  readonly random?: true;
  /** How to ask for it, as a noun. */
  readonly prompt?: string;
  /** What a prompt offers. */
  readonly suggestion?: string;
  /** The values that are allowed. */
  readonly choices?: readonly string[];
}

/** How to set an option, best way first: `OS_USERNAME (--user-name)`. */
export function describeSources(option: Option): string {
  const variable = option.env?.[0];
  const flag = option.flag === false || option.secret ? undefined : `--${option.name}`;
  if (variable === undefined) return flag ?? option.name;
  return flag === undefined ? variable : `${variable} (${flag})`;
}

/** How a run goes is its own affair, and no cloud's. */
const NEVER_IN_FILES: readonly OptionGroup[] = ['Command', 'Cache', 'Run'];

/** Whether clouds.yaml may hold it. */
export function isInCloudsYaml(option: Option): boolean {
  return option.file !== 'nowhere' && !NEVER_IN_FILES.includes(option.group);
}

/** Whether it says where or as whom to log in, and so stands below `auth` in clouds.yaml. */
export function isBelowAuth(option: Option): boolean {
  return option.file === undefined && isInCloudsYaml(option);
}
