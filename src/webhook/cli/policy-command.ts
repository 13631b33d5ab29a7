/** `k8s-keystone-auth policy test` and `policy lint`: what a policy would decide and why, and what is odd about it. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Option } from '../../shared/options/option.ts';
import type { WebhookConfig } from './settings.ts';
import { getErrorCode, ConfigError, UsageError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { makePrintable } from '../../shared/base/printable.ts';
import { describeRequest } from '../authz/authorizer.ts';
import { parseCommandLine, renderHelp } from './parse-command-line.ts';
import { EXTRA_KEYS } from '../authn/user-info.ts';
import { WEBHOOK_OPTIONS } from './options.ts';
import type { WebhookOptionGroup, WebhookOptionName } from './options.ts';
import { InvalidPolicyError } from '../authz/policy/policy-members.ts';
import { findAllowingEntry, parsePolicy } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';
import { readSubject } from '../authz/policy/subject.ts';
import type { AccessRequest } from '../review/review.ts';
import { readCompatibilities, resolveWebhookConfig } from './settings.ts';

const NAMES: readonly WebhookOptionName[] = ['keystone-policy-file', 'compatibility'];
const SHARED = WEBHOOK_OPTIONS.filter(({ name }) => NAMES.includes(name));

const QUESTION = [
  { name: 'user', group: 'Authentication', help: 'name of the user who asks' },
  { name: 'uid', group: 'Authentication', help: 'id of that user' },
  { name: 'groups', group: 'Authentication', help: 'groups, with commas between them' },
  {
    name: 'projects',
    group: 'Authentication',
    help: 'id and name of the project, with a comma between them, or one of them',
  },
  { name: 'roles', group: 'Authentication', help: 'roles, with commas between them' },
  { name: 'verb', group: 'Authorization', help: 'what is to be done: get, list, create … (get)' },
  { name: 'resource', group: 'Authorization', help: 'with what: pods, pods/exec, deployments.apps …' },
  { name: 'namespace', group: 'Authorization', help: 'in which namespace; in the whole cluster if it is not set' },
  { name: 'path', group: 'Authorization', help: 'instead of a resource: /healthz' },
] as const satisfies readonly Option<string, WebhookOptionGroup>[];

type QuestionName = (typeof QUESTION)[number]['name'];

const TEST_OPTIONS: readonly Option<WebhookOptionName | QuestionName>[] = [...SHARED, ...QUESTION];

const USAGE = {
  test: `Usage: k8s-keystone-auth policy test --keystone-policy-file FILE --projects NAME --roles ROLE --verb get --resource pods

Says whether a policy allows something, and which entry does. The status is 0 if it is allowed, else 1.`,
  lint: `Usage: k8s-keystone-auth policy lint --keystone-policy-file FILE

Names entries that can never match, and those that the Go program understood differently.
The status is 0 if there are none, else 1.`,
};

function loadPolicy(host: Host, config: WebhookConfig): { policy: Policy; file: string } {
  const file = config.text('keystone-policy-file');
  if (file === undefined) throw new UsageError('--keystone-policy-file is missing', { hint: 'see --help' });
  try {
    const text = readFileSync(resolve(host.cwd, file), 'utf8');
    return { file, policy: parsePolicy(text, readCompatibilities(config)) };
  } catch (error) {
    if (error instanceof InvalidPolicyError) throw new ConfigError(`${file}: ${error.message}`);
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${file} cannot be read (${getErrorCode(error)})`);
  }
}

function readList(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
}

function readRequest(text: (name: QuestionName) => string | undefined): AccessRequest {
  const verb = text('verb') ?? 'get';
  const [path, resource] = [text('path'), text('resource')];
  if ((path === undefined) === (resource === undefined)) {
    throw new UsageError('either --resource or --path must be set', { hint: 'see --help' });
  }
  if (path !== undefined) return { kind: 'path', verb, path };
  const [, plural = '', group = '', subresource = ''] =
    /^([^./]*)(?:\.([^/]*))?(?:\/(.*))?$/.exec(resource ?? '') ?? [];
  return { kind: 'resource', verb, namespace: text('namespace') ?? '', group, resource: plural, subresource, name: '' };
}

function test(host: Host, config: WebhookConfig, text: (name: QuestionName) => string | undefined): number {
  const { policy, file } = loadPolicy(host, config);
  const request = readRequest(text);
  const subject = readSubject({
    kind: 'SubjectAccessReview',
    version: 'v1',
    user: text('user') ?? '',
    uid: text('uid') ?? '',
    groups: readList(text('groups')),
    // Whoever is asked about here is a user of Keystone.
    extra: new Map([
      [EXTRA_KEYS.roles, readList(text('roles'))],
      [EXTRA_KEYS.projectId, readList(text('projects'))],
    ]),
    request,
  });
  const entry = findAllowingEntry(policy, subject, request);
  const what = describeRequest(request);
  const lines =
    entry === undefined
      ? [`not allowed: ${what}: none of the ${policy.entries.length} entries of ${file} matches`]
      : [`allowed: ${what}: entry ${entry.number} of ${file}:`, JSON.stringify(entry.definition)];
  host.writeOut(`${lines.map(makePrintable).join('\n')}\n`);
  return entry === undefined ? 1 : 0;
}

function lint(host: Host, config: WebhookConfig): number {
  const { policy, file } = loadPolicy(host, config);
  const lines = policy.findings.map(({ entry, kind, message }) => `${file}: entry ${entry}: ${kind}: ${message}`);
  const end = `${policy.entries.length} entries, ${lines.length} findings`;
  host.writeOut(`${[...lines, end].map(makePrintable).join('\n')}\n`);
  return lines.length === 0 ? 0 : 1;
}

/**
 * Runs `policy test` or `policy lint`.
 *
 * @param argv what follows `policy`
 * @returns the exit status
 * @throws PluginError
 */
export function runPolicyCommand(host: Host, argv: readonly string[]): number {
  const [command, ...rest] = argv;
  if (command !== 'test' && command !== 'lint') {
    throw new UsageError('"policy" needs a word more: test or lint', { hint: 'see "policy test --help"' });
  }
  const options = command === 'test' ? TEST_OPTIONS : SHARED;
  const { words, flags, help } = parseCommandLine(rest, options);
  if (help) {
    host.writeOut(renderHelp(USAGE[command], ['Authentication', 'Authorization'], options));
    return 0;
  }
  if (words[0] !== undefined) throw new UsageError(`unexpected argument "${words[0]}"`, { hint: 'see --help' });
  const config = resolveWebhookConfig(host, flags);
  const text = (name: QuestionName): string | undefined => {
    const value = flags.get(name)?.value;
    return typeof value === 'string' ? value : undefined;
  };
  return command === 'test' ? test(host, config, text) : lint(host, config);
}
