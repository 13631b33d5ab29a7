/** kubectl's own preferences, which may forbid it to run us (kubernetes doc "Kubectl user preferences (kuberc)", from 1.35 on). */
import { join } from 'node:path';
import type { Host } from '../../../shared/base/host.ts';
import { isJsonObject, listAt, textAt } from '../../../shared/base/json.ts';
import { readYamlMapping } from '../../kubeconfig/read-context.ts';
import { findProgram } from '../find-program.ts';
import { fail, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

const KUBERC = 'KUBERC';

function findKuberc({ env, home }: { env: Host['env']; home: string | undefined }): string | undefined {
  const named = env[KUBERC] ?? '';
  if (named === 'off' || env['KUBECTL_KUBERC'] === 'false') return undefined;
  return named === '' ? home && join(home, '.kube', 'kuberc') : named;
}

function isListed(entry: unknown, command: string, host: Host): boolean {
  const listed = isJsonObject(entry) ? (textAt(entry, 'name') ?? textAt(entry, 'command')) : undefined;
  if (listed === undefined || listed === '') return false;
  if (listed === command) return true;
  const found = findProgram(command, host);
  return found !== undefined && (listed === found || findProgram(listed, host) === found);
}

type Judge = (path: string, isAllowed: () => boolean) => CheckOutcome<never>;

const ALLOW = (path: string): string =>
  `add it to credentialPluginAllowlist in ${path}, with credentialPluginPolicy: Allowlist`;

/** By the policy's name. */
const POLICIES: ReadonlyMap<string, Judge> = new Map<string, Judge>([
  ['AllowAll', (path) => pass(`${path} allows every program`)],
  [
    'DenyAll',
    (path) => fail(`${path} forbids kubectl to run any program (credentialPluginPolicy: DenyAll)`, ALLOW(path)),
  ],
  [
    'Allowlist',
    (path, isAllowed) =>
      isAllowed()
        ? pass(`${path} allows it by name`)
        : fail(`${path} allows other programs and not this one`, ALLOW(path)),
  ],
]);

/**
 * Whether kubectl may run the command.
 *
 * @throws ConfigError where the file cannot be read
 */
export function checkKuberc(command: string, host: Host): CheckOutcome<never> {
  const path = findKuberc({ env: host.env, home: host.home() });
  const data = path === undefined ? undefined : readYamlMapping(path);
  if (path === undefined || data === undefined) return pass('there is none, so kubectl may run every program');
  const policy = textAt(data, 'credentialPluginPolicy') ?? '';
  if (policy === '' && !('credentialPluginAllowlist' in data)) return pass(`${path} says nothing of programs to run`);
  const judge = POLICIES.get(policy);
  if (judge === undefined) {
    return fail(
      `${path}: credentialPluginPolicy is "${policy}"`,
      `set it to ${[...POLICIES.keys()].join(', ')}, or leave it out`,
    );
  }
  return judge(path, () => listAt(data, 'credentialPluginAllowlist').some((entry) => isListed(entry, command, host)));
}
