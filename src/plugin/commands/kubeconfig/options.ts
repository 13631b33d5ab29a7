/** Options that several kubeconfig commands share. */
import type { CommandOption } from '../command-option.ts';
import { makeCommandOption } from '../command.ts';
import { STANZA_VERSION_OPTION } from './stanza-version.ts';

export const DRY_RUN_OPTION: CommandOption = makeCommandOption({
  name: 'dry-run',
  kind: 'switch',
  help: 'show what would change in the kubeconfig, with secrets redacted, and leave it as it is',
});

export const CONTEXT_NAME_OPTION: CommandOption = makeCommandOption({
  name: 'name',
  help: 'name of the context; by default the name of the cluster followed by "-keystone"',
});

/** Options of the commands that add a context, besides {@link WRITE_OPTIONS}. */
export const CONTEXT_OPTIONS: readonly CommandOption[] = [
  makeCommandOption({ name: 'namespace', help: 'namespace of the context' }),
  makeCommandOption({
    name: 'user',
    help: 'name of the user in the kubeconfig; by default the name of the context',
  }),
  makeCommandOption({
    name: 'set-current',
    kind: 'switch',
    help: 'make it the current context; this is the default if there is no current context',
  }),
];

/** Options of the commands that write exec stanzas. */
export const WRITE_OPTIONS: readonly CommandOption[] = [
  makeCommandOption({
    name: 'with-secrets',
    kind: 'switch',
    help: 'write secrets too: every user who can read the kubeconfig can then log in as you',
  }),
  makeCommandOption({
    name: 'command',
    help: 'command that kubectl runs, if not client-keystone-auth on the PATH',
  }),
  STANZA_VERSION_OPTION,
  DRY_RUN_OPTION,
];
