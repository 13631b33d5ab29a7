import { openKubeconfig } from '../../kubeconfig/kubeconfig.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import type { Invocation } from '../command.ts';

/**
 * Opens the kubeconfig that a command is about, and warns of what kubectl ignores in it.
 *
 * @throws ConfigError if a file cannot be read or is not a kubeconfig
 */
export function openCommandKubeconfig({ host, ownConfig, reporter }: Invocation): Kubeconfig {
  const kubeconfig = openKubeconfig(host, ownConfig.text('kubeconfig'));
  for (const warning of kubeconfig.warnings) reporter.warn(warning);
  return kubeconfig;
}
