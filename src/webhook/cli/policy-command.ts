/**
 * The commands `policy test` and `policy lint`: what a policy decides and why, and which entries have problems.
 */
import { resolve } from 'node:path';
import { UsageError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { renderLines } from '../../shared/base/terminal-text.ts';
import { parseCommaList } from '../../shared/options/comma-list.ts';
import { EXTRA_KEYS } from '../authn/user-info.ts';
import { findAllowingEntry } from '../authz/policy/policy.ts';
import { describePosition } from '../authz/policy/position.ts';
import { readSubject } from '../authz/policy/subject.ts';
import { describeRequest } from '../review/access-request.ts';
import type { AccessRequest } from '../review/access-request.ts';
import { readTextFile } from '../sources/read-text-file.ts';
import type { CommandOption, RequestOptionName, WebhookCommand } from './command.ts';
import { WEBHOOK_OPTIONS } from './options.ts';
import type { WebhookOptionName } from './options.ts';
import { readPolicy } from './read-policy.ts';
import type { PlacedPolicy } from './read-policy.ts';
import { readCompatibilities, resolveWebhookConfig } from './settings.ts';
import type { WebhookConfig } from './settings.ts';

const POLICY_OPTION_NAMES: readonly WebhookOptionName[] = ['keystone-policy-file', 'compatibility'];
const POLICY_OPTIONS = WEBHOOK_OPTIONS.filter(({ name }) => POLICY_OPTION_NAMES.includes(name));

const REQUEST_OPTIONS: readonly CommandOption[] = [
  { name: 'user', group: 'Authentication', help: 'name of the user' },
  { name: 'uid', group: 'Authentication', help: 'ID of the user' },
  { name: 'groups', group: 'Authentication', help: 'groups of the user, separated by commas' },
  {
    name: 'projects',
    group: 'Authentication',
    help: 'ID and name of the project, separated by a comma, or one of them',
  },
  {
    name: 'domains',
    group: 'Authentication',
    help: 'ID and name of the domain of the user, separated by a comma, or one of them',
  },
  { name: 'roles', group: 'Authentication', help: 'roles of the user, separated by commas' },
  { name: 'verb', group: 'Authorization', help: 'verb of the request, such as get, list or create (get)' },
  { name: 'resource', group: 'Authorization', help: 'resource, such as pods, pods/exec or deployments.apps' },
  { name: 'namespace', group: 'Authorization', help: 'namespace of the resource (the whole cluster)' },
  { name: 'path', group: 'Authorization', help: 'path such as /healthz, instead of a resource' },
];

function loadPolicy(host: Host, config: WebhookConfig): PlacedPolicy {
  const file = config.text('keystone-policy-file');
  if (file === undefined) {
    throw new UsageError('--keystone-policy-file is missing', { hint: 'set it to the file of the policy' });
  }
  const text = readTextFile({ path: resolve(host.cwd, file), origin: config.origin('keystone-policy-file') });
  return readPolicy(text, file, readCompatibilities(config));
}

function readRequest(readFlag: (name: RequestOptionName) => string | undefined): AccessRequest {
  const verb = readFlag('verb') ?? 'get';
  const [path, resource] = [readFlag('path'), readFlag('resource')];
  if ((path === undefined) === (resource === undefined)) {
    throw new UsageError('either --resource or --path must be set', {
      hint: 'write --resource=pods or --path=/healthz, for example',
    });
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
      [EXTRA_KEYS.domainId, parseCommaList(readFlag('domains'))],
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

/** Shows what a policy decides. */
export const policyTestCommand: WebhookCommand = {
  words: ['policy', 'test'],
  summary: 'show whether a policy allows a request, and by which entry',
  details: ['The exit status is 0 if it is allowed, else 1.'],
  options: [...POLICY_OPTIONS, ...REQUEST_OPTIONS],
  examples: [
    {
      line: 'policy test --keystone-policy-file policy.json --projects demo --roles member --resource pods',
      summary: 'whether members of a project may get pods',
    },
  ],
  run(host, flags) {
    const readFlag = (name: RequestOptionName): string | undefined => {
      const value = flags.get(name)?.value;
      return typeof value === 'string' ? value : undefined;
    };
    return testPolicy(host, resolveWebhookConfig(host, flags), readFlag);
  },
};

/** Shows what is wrong with a policy. */
export const policyLintCommand: WebhookCommand = {
  words: ['policy', 'lint'],
  summary: 'list entries that can never match, and those that the Go program understood differently',
  details: ['The exit status is 0 if there are none, else 1.'],
  options: POLICY_OPTIONS,
  examples: [{ line: 'policy lint --keystone-policy-file policy.json', summary: 'check a policy before it is used' }],
  run: (host, flags) => lintPolicy(host, resolveWebhookConfig(host, flags)),
};
