/** kubectl's preferences may forbid the plugin (Kubernetes doc "Kubectl user preferences (kuberc)", from 1.35). */
import { join } from 'node:path';
import type { Host } from '../../../shared/base/host.ts';
import { isJsonObject, listAt, textAt } from '../../../shared/base/json.ts';
import { readYamlMapping } from '../../kubeconfig/read-context.ts';
import { findProgram } from '../../programs/find-program.ts';
import { fail, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

const KUBERC = 'KUBERC';

function findKuberc({ env, home }: { env: Host['env']; home: string | undefined }): string | undefined {
  const path = env[KUBERC] ?? '';
  if (path === 'off' || env['KUBECTL_KUBERC'] === 'false') return undefined;
  return path === '' ? home && join(home, '.kube', 'kuberc') : path;
}

function isAllowedBy(entry: unknown, command: string, host: Host): boolean {
  const name = isJsonObject(entry) ? (textAt(entry, 'name') ?? textAt(entry, 'command')) : undefined;
  if (name === undefined || name === '') return false;
  if (name === command) return true;
  const path = findProgram(command, host);
  return path !== undefined && (name === path || findProgram(name, host) === path);
}

type CheckPolicy = (path: string, isAllowed: () => boolean) => CheckOutcome<never>;

const describeFix = (path: string): string =>
  `add it to credentialPluginAllowlist in ${path}, with credentialPluginPolicy: Allowlist`;

/** By the value of credentialPluginPolicy. */
const POLICIES: ReadonlyMap<string, CheckPolicy> = new Map<string, CheckPolicy>([
  ['AllowAll', (path) => pass(`${path} allows every credential plugin`)],
  [
    'DenyAll',
    (path) =>
      fail(`${path} forbids kubectl to run any credential plugin (credentialPluginPolicy: DenyAll)`, describeFix(path)),
  ],
  [
    'Allowlist',
    (path, isAllowed) =>
      isAllowed()
        ? pass(`${path} allows this program`)
        : fail(`${path} allows other programs, but not this one`, describeFix(path)),
  ],
]);

/**
 * Checks that kubectl may run the command.
 *
 * @throws ConfigError when the file cannot be read
 */
export function checkKuberc(command: string, host: Host): CheckOutcome<never> {
  const path = findKuberc({ env: host.env, home: host.home() });
  const data = path === undefined ? undefined : readYamlMapping(path);
  if (path === undefined || data === undefined)
    return pass('no kuberc file was found, so kubectl may run every credential plugin');
  const policy = textAt(data, 'credentialPluginPolicy') ?? '';
  if (policy === '' && !('credentialPluginAllowlist' in data))
    return pass(`${path} does not restrict credential plugins`);
  const checkPolicy = POLICIES.get(policy);
  if (checkPolicy === undefined) {
    return fail(
      `${path}: credentialPluginPolicy is "${policy}"`,
      `set it to ${[...POLICIES.keys()].join(', ')}, or remove it`,
    );
  }
  return checkPolicy(path, () =>
    listAt(data, 'credentialPluginAllowlist').some((entry) => isAllowedBy(entry, command, host)),
  );
}
