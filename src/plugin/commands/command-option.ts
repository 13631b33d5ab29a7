/** Options that single commands have, in addition to those of a login. */
import type { Option } from '../../shared/options/option.ts';
import type { OptionGroup } from '../config/option.ts';

/** Every option that a command declares. A test keeps the list equal to the registry. */
export const COMMAND_OPTION_NAMES = [
  'access-rule',
  'all',
  'certificate-authority',
  'cluster',
  'command',
  'context',
  'create-application-credential',
  'credential-name',
  'dry-run',
  'exchanged',
  'exec-api-version',
  'expires',
  'from-list',
  'from-magnum',
  'header',
  'kubeconfig',
  'kubeconfig-add',
  'name',
  'namespace',
  'no-cluster',
  'output',
  'raw-authorization',
  'role',
  'save-secret',
  'server',
  'set-current',
  'static-token',
  'user',
  'web',
  'with-secrets',
] as const;

export type CommandOptionName = (typeof COMMAND_OPTION_NAMES)[number];

export type CommandOption = Option<CommandOptionName, OptionGroup>;
