import { cacheClean } from './cache/clean.ts';
import { cacheList } from './cache/list.ts';
import { catalog } from './catalog.ts';
import type { Command, CommandDescription } from './command.ts';
import { complete } from './completion/complete-names.ts';
import { completionOf } from './completion/completion.ts';
import { doctor } from './doctor/doctor.ts';
import { explain } from './explain/explain.ts';
import { kubeconfigAdd } from './kubeconfig/add.ts';
import { kubeconfigConvert } from './kubeconfig/convert.ts';
import { kubeconfigFetch } from './kubeconfig/fetch.ts';
import { kubeconfigRemove } from './kubeconfig/remove.ts';
import { kubeconfigShow } from './kubeconfig/show.ts';
import { domains, projects } from './list-scopes.ts';
import { login } from './login/login.ts';
import { logout } from './logout.ts';
import { status } from './status.ts';
import { token } from './token.ts';
import { whoami } from './whoami.ts';

/** The command that kubectl runs; `cli/cli.ts` does it without anything of this folder. */
export const GET_TOKEN_COMMAND: CommandDescription = {
  words: ['get-token'],
  about: 'print a token as an ExecCredential for kubectl; what happens without a command, too',
  options: [],
  takes: 'everything',
  examples: [
    { line: 'get-token --os-cloud prod', about: 'log in to a cloud of clouds.yaml, or give the token that is kept' },
  ],
};

/** Every other command, in the order of `--help`. */
export const COMMANDS: readonly Command[] = [
  login,
  logout,
  status,
  token,
  whoami,
  projects,
  domains,
  catalog,
  cacheList,
  cacheClean,
  explain,
  doctor,
  kubeconfigAdd,
  kubeconfigFetch,
  kubeconfigConvert,
  kubeconfigRemove,
  kubeconfigShow,
  completionOf(() => ALL_COMMANDS),
  complete,
];

/** These and get-token, as users are told of them. */
export const ALL_COMMANDS: readonly CommandDescription[] = [
  GET_TOKEN_COMMAND,
  ...COMMANDS.filter(({ hidden }) => hidden !== true),
];
