/** Options that several of the kubeconfig commands have. */
import type { Option } from '../../../shared/options/option.ts';
import { OUTPUT_OPTION } from '../command.ts';

const own = { group: 'Command', file: 'nowhere' } as const;

export const KUBECONFIG_OPTION: Option = {
  ...own,
  name: 'kubeconfig',
  kind: 'file',
  help: 'file to use instead of those in KUBECONFIG, or of ~/.kube/config',
};

export const DRY_RUN_OPTION: Option = {
  ...own,
  name: 'dry-run',
  kind: 'switch',
  help: 'show what would change, without secrets, and write nothing',
};

const WITH_SECRETS: Option = {
  ...own,
  name: 'with-secrets',
  kind: 'switch',
  help: 'write secrets too: whoever reads the kubeconfig can then log in as you',
};

const COMMAND_PATH: Option = {
  ...own,
  name: 'command',
  help: 'what kubectl runs, if that is not the client-keystone-auth on the PATH',
};

export const CONTEXT_NAME_OPTION: Option = {
  ...own,
  name: 'name',
  help: 'name of the context; that of the cluster and "-keystone" when absent',
};

const USER: Option = {
  ...own,
  name: 'user',
  help: 'name of the user in the kubeconfig; that of the context when absent',
};

const NAMESPACE: Option = { ...own, name: 'namespace', help: 'namespace of the context' };

const SET_CURRENT: Option = {
  ...own,
  name: 'set-current',
  kind: 'switch',
  help: 'make it the current context; that happens anyway where there is none',
};

/** Of commands that put a context into a kubeconfig, beside {@link WRITE_OPTIONS}. */
export const CONTEXT_OPTIONS: readonly Option[] = [NAMESPACE, USER, SET_CURRENT];

/** Of commands that write stanzas. */
export const WRITE_OPTIONS: readonly Option[] = [
  WITH_SECRETS,
  COMMAND_PATH,
  KUBECONFIG_OPTION,
  DRY_RUN_OPTION,
  OUTPUT_OPTION,
];
