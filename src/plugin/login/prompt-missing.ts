import { ConfigError } from '../../shared/base/errors.ts';
import { readAuthUrl, readCredentialUrl } from '../../shared/keystone/auth-url.ts';
import { parseSetting } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer, Option, OptionName } from '../config/option.ts';
import { resolveConfig } from '../config/resolve-config.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { describeOwner } from '../auth-methods/describe-owner.ts';
import { explainMissingOptions } from '../auth-methods/missing-options.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { describeProblem } from '../terminal/describe-problem.ts';
import type { LoginContext } from './login-context.ts';

type PromptContext = Pick<LoginContext, 'execInfo' | 'user' | 'method'>;

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
 * @throws UserCanceled
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
  if (reason !== undefined) throw explainMissingOptions(missing, reason);
  return promptUntilComplete(context, config, listMissing, limits);
}

/** Prompts for one option at a time: each answer decides what is still missing. */
async function promptUntilComplete(
  context: PromptContext,
  config: ResolvedConfig,
  listMissing: ListMissing,
  { withoutProject = false }: PromptLimits,
): Promise<ResolvedConfig> {
  let answers: ReadonlyMap<OptionName, Setting> = new Map();
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
    const target = describeTarget(context, complete, option.name);
    const withAnswer = (text: string): ReadonlyMap<OptionName, Setting> =>
      new Map([...answers, ...readAnswer(option, text, option === project)]);
    const merge = (layer: Layer): ResolvedConfig =>
      resolveConfig([...config.layers, new Map([...layer].filter(([, { value }]) => value !== ''))], OPTIONS);
    const check = (text: string): string | undefined =>
      describeProblem(() => {
        const next = merge(withAnswer(text));
        listMissing(next);
        if (option.isUrl === true) readCredentialUrl<OptionName>(next, option.name, URL_EXAMPLE);
      });
    const text = await context.user.prompt(option, target, { suggestion, check });
    answers = withAnswer(text);
    complete = merge(answers);
  }
}

/** @throws ConfigError if the answer cannot be used */
function readAnswer(option: Option, text: string, canBeEmpty: boolean): Layer {
  const origin = option.prompt ?? option.name;
  const setting = parseSetting(option, text, origin);
  if (setting !== undefined || canBeEmpty) return new Map([[option.name, setting ?? { value: '', origin }]]);
  throw new ConfigError('nothing was typed', { hint: 'type a value, or press Ctrl-C to cancel' });
}

const URL_EXAMPLE = 'https://server.example.com';

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

/** Describes for messages what an answer is for: "of alice at https://keystone.example.com for the cluster …". */
function describeTarget({ execInfo, method }: PromptContext, config: ResolvedConfig, name: OptionName): string {
  const owner = describeOwner(name, config);
  const url = readAuthUrl(config);
  const place = method.describePromptTarget?.(config) ?? (url === undefined ? '' : `at ${url}`);
  const server = execInfo?.clusterServer;
  return [
    ...(owner === undefined ? [] : [`of ${owner}`]),
    ...(place === '' ? [] : [place]),
    ...(server === undefined ? [] : [`for the cluster ${server}`]),
  ].join(' ');
}
