import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { parseSetting } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer, Option, OptionName } from '../config/option.ts';
import { resolveConfig } from '../config/resolve-config.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { explainMissingOptions } from '../auth-methods/missing-options.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { openTerminal } from '../terminal/terminal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { LoginContext } from './login-context.ts';

type PromptContext = Pick<LoginContext, 'host' | 'execInfo' | 'user' | 'method'>;

type ListMissing = (config: ResolvedConfig) => readonly Option[];

/** Prompts to leave out, because the caller shows them itself. */
interface PromptLimits {
  /** Do not prompt for the project. */
  readonly withoutProject?: boolean;
}

/**
 * Prompts for the options that are missing, if any.
 *
 * @returns the completed configuration
 * @throws InteractionRequired if no prompt is possible
 * @throws UserCancelled
 * @throws ConfigError if an answer cannot be used
 */
export async function promptForMissing(
  context: PromptContext,
  config: ResolvedConfig,
  listMissing: ListMissing,
  limits: PromptLimits = {},
): Promise<ResolvedConfig> {
  const missing = listMissing(config);
  if (missing.length === 0) return config;
  const reason = context.user.cannotPromptReason;
  const terminal = reason === undefined ? openTerminal(context.host) : undefined;
  if (terminal === undefined) throw explainMissingOptions(missing, reason ?? 'the terminal has closed');
  try {
    return await promptUntilComplete(context, terminal, config, listMissing, limits);
  } finally {
    terminal.pause();
  }
}

/** Prompts for one option at a time: each answer decides what is still missing. */
async function promptUntilComplete(
  context: PromptContext,
  terminal: Terminal,
  config: ResolvedConfig,
  listMissing: ListMissing,
  { withoutProject = false }: PromptLimits,
): Promise<ResolvedConfig> {
  const { promptForOption } = await import('../terminal/prompt.ts');
  const answers = new Map<OptionName, Setting>();
  let complete = config;
  for (;;) {
    const missing = listMissing(complete);
    // Secrets come last.
    const visible = missing.find(({ secret }) => !secret);
    const asksProject = visible === undefined && !withoutProject && wantsProject(complete, answers);
    const project = asksProject ? PROJECT_OPTION : undefined;
    const option = visible ?? project ?? missing[0];
    if (option === undefined) return complete;
    const suggestion = option.name === 'project-domain-name' ? complete.text('user-domain-name') : option.suggestion;
    const target = describeTarget(context, complete);
    const text = await promptForOption(context.host, terminal, option, target, { suggestion });
    const origin = option.prompt ?? option.name;
    const setting = parseSetting(option, text, origin);
    if (setting !== undefined || option === project) answers.set(option.name, setting ?? { value: '', origin });
    const layer = new Map([...answers].filter(([, { value }]) => value !== ''));
    complete = resolveConfig([...config.layers, layer], OPTIONS);
  }
}

const PROJECT_OPTION = OPTIONS.find(({ name }) => name === 'project-name');

/** Options that each determine the scope; an identity provider's own token has no scope. */
const SCOPE_OPTIONS: readonly OptionName[] = [
  'project-id',
  'project-name',
  'domain-id',
  'domain-name',
  'system-scope',
  'trust-id',
  'unscoped',
  'token-kind',
];

/** A user who was prompted for a name may want a project too; the answer may be empty. */
function wantsProject(config: ResolvedConfig, answers: Layer): boolean {
  const hasScope = SCOPE_OPTIONS.some((name) => config.has(name));
  return answers.has('user-name') && !answers.has('project-name') && !hasScope;
}

/** Describes for messages what an answer is for: "at https://keystone.example.com for the cluster …". */
function describeTarget({ execInfo, method }: PromptContext, config: ResolvedConfig): string {
  const url = readAuthUrl(config);
  const target = method.describePromptTarget?.(config) ?? (url === undefined ? '' : `at ${url}`);
  const server = execInfo?.clusterServer;
  return server === undefined ? target : `${target} for the cluster ${server}`.trim();
}
