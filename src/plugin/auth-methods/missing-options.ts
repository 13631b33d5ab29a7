import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { parseSetting } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { describeSources } from '../../shared/options/option.ts';
import type { Option } from '../../shared/options/option.ts';
import { resolveConfig } from '../../shared/options/resolve-config.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import { InteractionRequired } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { AuthMethod, Factor } from './auth-method.ts';
import { OPTIONS } from './registry.ts';

const OPTION_BY_NAME = new Map(OPTIONS.map((option) => [option.name, option]));

/** Options any of which says what the token shall be good for. */
const SCOPE_OPTIONS = [
  'project-id',
  'project-name',
  'domain-id',
  'domain-name',
  'system-scope',
  'trust-id',
  'unscoped',
];

function lookUp(names: readonly string[]): Option[] {
  return names.flatMap((name) => OPTION_BY_NAME.get(name) ?? []);
}

/** What must still be known before the request can be made, in the order of asking. */
export function findMissingOptions(
  config: ResolvedConfig,
  method: Pick<AuthMethod, 'listMissing' | 'worksWithoutKeystoneUrl'>,
): Option[] {
  const url =
    method.worksWithoutKeystoneUrl?.(config) === true || readAuthUrl(config) !== undefined ? [] : ['keystone-url'];
  return lookUp([...url, ...method.listMissing(config)]);
}

/** What must still be known to give further factors. */
export function findMissingFactorOptions(config: ResolvedConfig, factors: readonly Factor[]): Option[] {
  return lookUp(factors.flatMap((factor) => factor.listMissing(config)));
}

/**
 * Says what is missing and how to give it, where nobody can be asked.
 *
 * @param because why nobody can be asked, as a clause
 */
export function explainMissingOptions(missing: readonly Option[], because: string): InteractionRequired {
  const what = missing.map((option) => (option.prompt ?? option.name).replace(/ \(.*\)$/, '').toLowerCase());
  const verb = what.length === 1 ? 'is' : 'are';
  return new InteractionRequired(`${what.join(', ')} ${verb} not set and ${because}`, {
    hint: `set ${missing.map(describeSources).join(', ')}`,
  });
}

/** Who had to be asked for a name may want a project too; that answer may be empty. */
function askForProject(config: ResolvedConfig, answers: ReadonlyMap<string, Setting>): boolean {
  // A provider's own token is good for no project.
  const scoped = [...SCOPE_OPTIONS, 'token-kind'].some((name) => config.has(name));
  return answers.has('user-name') && !answers.has('project-name') && !scoped;
}

function describePlace(config: ResolvedConfig, { server, method }: Pick<PromptContext, 'server' | 'method'>): string {
  const url = readAuthUrl(config);
  const at = method.describePromptTarget?.(config) ?? (url === undefined ? '' : `at ${url}`);
  return server === undefined ? at : `${at} for the cluster ${server}`.trim();
}

/** What asking needs beside the settings. */
interface PromptContext {
  readonly host: Host;
  readonly terminal: Terminal;
  /** The cluster's URL, if kubectl told it. */
  readonly server: string | undefined;
  readonly method: Pick<AuthMethod, 'describePromptTarget'>;
  /** The project is somebody else's question. */
  readonly withoutProject?: boolean | undefined;
}

/**
 * Asks on the terminal for what is missing, one thing after the other in view of what is known by then.
 *
 * @throws Cancelled
 * @throws ConfigError when an answer cannot be used
 */
export async function promptForOptions(
  config: ResolvedConfig,
  listMissing: (config: ResolvedConfig) => Option[],
  { host, terminal, server, method, withoutProject }: PromptContext,
): Promise<ResolvedConfig> {
  const { promptForOption } = await import('../terminal/prompt.ts');
  const answers = new Map<string, Setting>();
  let complete = config;
  for (;;) {
    const missing = listMissing(complete);
    const visible = missing.find((option) => !option.secret);
    const asksProject = visible === undefined && withoutProject !== true && askForProject(complete, answers);
    const project = asksProject ? OPTION_BY_NAME.get('project-name') : undefined;
    const option = visible ?? project ?? missing[0];
    if (option === undefined) return complete;
    const suggestion = option.name === 'project-domain-name' ? complete.text('user-domain-name') : option.suggestion;
    const text = await promptForOption(host, terminal, option, describePlace(complete, { server, method }), {
      suggestion,
    });
    const origin = option.prompt ?? option.name;
    const setting = parseSetting(option, text, origin);
    if (setting !== undefined || option === project) answers.set(option.name, setting ?? { value: '', origin });
    complete = resolveConfig([...config.layers, withoutEmpty(answers)], OPTIONS);
  }
}

function withoutEmpty(answers: ReadonlyMap<string, Setting>): Map<string, Setting> {
  return new Map([...answers].filter(([, setting]) => setting.value !== ''));
}
