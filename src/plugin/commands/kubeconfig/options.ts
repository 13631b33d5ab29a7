/** Options that several of the kubeconfig commands have. */
import type { Option } from '../../../shared/options/option.ts';
import { OUTPUT } from '../command.ts';

const own = { group: 'Command', file: 'nowhere' } as const;

export const KUBECONFIG: Option = {
  ...own,
  name: 'kubeconfig',
  kind: 'file',
  help: 'file to use instead of those in KUBECONFIG, or of ~/.kube/config',
};

export const DRY_RUN: Option = {
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

export const CONTEXT_NAME: Option = {
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

/** Of commands that put a context into a kubeconfig, beside {@link WRITING}. */
export const PLACING: readonly Option[] = [NAMESPACE, USER, SET_CURRENT];

/** Of commands that write stanzas. */
export const WRITING: readonly Option[] = [WITH_SECRETS, COMMAND_PATH, KUBECONFIG, DRY_RUN, OUTPUT];
