/**
 * `k8s-keystone-auth policy test` and `policy lint`: what a policy decides and why, and which entries have problems.
 */
import { resolve } from 'node:path';
import { UsageError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { renderLines } from '../../shared/base/terminal-text.ts';
import { parseCommaList } from '../../shared/options/comma-list.ts';
import type { Option } from '../../shared/options/option.ts';
import { EXTRA_KEYS } from '../authn/user-info.ts';
import { findAllowingEntry } from '../authz/policy/policy.ts';
import { describePosition } from '../authz/policy/position.ts';
import { readSubject } from '../authz/policy/subject.ts';
import { describeRequest } from '../review/access-request.ts';
import type { AccessRequest } from '../review/access-request.ts';
import { readTextFile } from '../sources/read-text-file.ts';
import { PROGRAM_NAME, WEBHOOK_OPTIONS } from './options.ts';
import type { WebhookOptionGroup, WebhookOptionName } from './options.ts';
import { parseCommandLine, renderHelp } from './parse-command-line.ts';
import { readPolicy } from './read-policy.ts';
import type { PlacedPolicy } from './read-policy.ts';
import { readCompatibilities, resolveWebhookConfig } from './settings.ts';
import type { WebhookConfig } from './settings.ts';

const POLICY_OPTION_NAMES: readonly WebhookOptionName[] = ['keystone-policy-file', 'compatibility'];
const POLICY_OPTIONS = WEBHOOK_OPTIONS.filter(({ name }) => POLICY_OPTION_NAMES.includes(name));

const REQUEST_OPTIONS = [
  { name: 'user', group: 'Authentication', help: 'name of the user' },
  { name: 'uid', group: 'Authentication', help: 'ID of the user' },
  { name: 'groups', group: 'Authentication', help: 'groups of the user, separated by commas' },
  {
    name: 'projects',
    group: 'Authentication',
    help: 'ID and name of the project, separated by a comma, or one of them',
  },
  { name: 'roles', group: 'Authentication', help: 'roles of the user, separated by commas' },
  { name: 'verb', group: 'Authorization', help: 'verb of the request, such as get, list or create (get)' },
  { name: 'resource', group: 'Authorization', help: 'resource, such as pods, pods/exec or deployments.apps' },
  { name: 'namespace', group: 'Authorization', help: 'namespace of the resource (the whole cluster)' },
  { name: 'path', group: 'Authorization', help: 'path such as /healthz, instead of a resource' },
] as const satisfies readonly Option<string, WebhookOptionGroup>[];

type RequestOptionName = (typeof REQUEST_OPTIONS)[number]['name'];

const TEST_OPTIONS: readonly Option<WebhookOptionName | RequestOptionName>[] = [...POLICY_OPTIONS, ...REQUEST_OPTIONS];

const USAGE = {
  test: `Usage: ${PROGRAM_NAME} policy test --keystone-policy-file FILE --projects NAME --roles ROLE \\
         --verb get --resource pods

Shows whether a policy allows a request, and by which entry. The exit status is 0 if it is allowed, else 1.`,
  lint: `Usage: ${PROGRAM_NAME} policy lint --keystone-policy-file FILE

Lists entries that can never match, and those that the Go program understood differently.
The exit status is 0 if there are none, else 1.`,
};

function loadPolicy(host: Host, config: WebhookConfig): PlacedPolicy {
  const file = config.text('keystone-policy-file');
  if (file === undefined) throw new UsageError('--keystone-policy-file is missing', { hint: 'see --help' });
  const text = readTextFile({ path: resolve(host.cwd, file), origin: config.origin('keystone-policy-file') });
  return readPolicy(text, file, readCompatibilities(config));
}

function readRequest(readFlag: (name: RequestOptionName) => string | undefined): AccessRequest {
  const verb = readFlag('verb') ?? 'get';
  const [path, resource] = [readFlag('path'), readFlag('resource')];
  if ((path === undefined) === (resource === undefined)) {
    throw new UsageError('either --resource or --path must be set', { hint: 'see --help' });
  }
  if (path !== undefined) return { kind: 'path', verb, path };
  const [, plural = '', group = '', subresource = ''] =
    /^([^./]*)(?:\.([^/]*))?(?:\/(.*))?$/.exec(resource ?? '') ?? [];
  const namespace = readFlag('namespace') ?? '';
  return { kind: 'resource', verb, namespace, group, resource: plural, subresource, name: '' };
}

function testPolicy(
  host: Host,
  config: WebhookConfig,
  readFlag: (name: RequestOptionName) => string | undefined,
): number {
  const { policy, place } = loadPolicy(host, config);
  const request = readRequest(readFlag);
  const subject = readSubject({
    kind: 'SubjectAccessReview',
    version: 'v1',
    user: readFlag('user') ?? '',
    uid: readFlag('uid') ?? '',
    groups: parseCommaList(readFlag('groups')),
    // Always set, since they also mark a user of Keystone.
    extra: new Map([
      [EXTRA_KEYS.roles, parseCommaList(readFlag('roles'))],
      [EXTRA_KEYS.projectId, parseCommaList(readFlag('projects'))],
    ]),
    request,
  });
  const entry = findAllowingEntry(policy, subject, request);
  const description = describeRequest(request);
  const lines =
    entry === undefined
      ? [`not allowed: ${description}: none of the ${policy.entries.length} entries of ${place} matches`]
      : [`allowed: ${description}: entry ${entry.number} of ${place}:`, JSON.stringify(entry.definition)];
  host.writeOut(renderLines(lines));
  return entry === undefined ? 1 : 0;
}

function lintPolicy(host: Host, config: WebhookConfig): number {
  const { policy, place } = loadPolicy(host, config);
  const lines = policy.findings.map(
    ({ entry, kind, difference, message, ...position }) =>
      `${place}: ${describePosition(position)}: entry ${entry}: ${kind}: ${message}` +
      (difference === undefined ? '' : ` [${difference}]`),
  );
  const summary = `${policy.entries.length} entries, ${lines.length} findings`;
  host.writeOut(renderLines([...lines, summary]));
  return lines.length === 0 ? 0 : 1;
}

/**
 * Runs `policy test` or `policy lint`.
 *
 * @param argv the arguments after `policy`
 * @returns the exit status
 * @throws UsageError | ConfigError
 */
export function runPolicyCommand(host: Host, argv: readonly string[]): number {
  const [command, ...commandArgv] = argv;
  if (command !== 'test' && command !== 'lint') {
    throw new UsageError('"policy" needs a subcommand: test or lint', { hint: 'see "policy test --help"' });
  }
  const options = command === 'test' ? TEST_OPTIONS : POLICY_OPTIONS;
  const { words, flags, help } = parseCommandLine(commandArgv, options);
  if (help) {
    const help = renderHelp(USAGE[command], ['Authentication', 'Authorization'], options);
    host.writeOut(renderLines(help.trimEnd().split('\n')));
    return 0;
  }
  if (words[0] !== undefined) throw new UsageError(`unexpected argument "${words[0]}"`, { hint: 'see --help' });
  const config = resolveWebhookConfig(host, flags);
  const readFlag = (name: RequestOptionName): string | undefined => {
    const value = flags.get(name)?.value;
    return typeof value === 'string' ? value : undefined;
  };
  return command === 'test' ? testPolicy(host, config, readFlag) : lintPolicy(host, config);
}
