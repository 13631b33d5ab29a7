/** What a person sees who starts the program for the first time. */
import { InteractionRequired } from '../../../shared/base/errors.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import type { Layer } from '../../config/option.ts';
import { readCloudNames, readConfig } from '../../config/read-config.ts';
import { makeCommandUser } from '../command-user.ts';
import type { TerminalUser } from '../../terminal/terminal-user.ts';
import type { CommandResult, Invocation } from '../command.ts';
import { addContext } from '../kubeconfig/add.ts';
import { promptForKeystoneUrl } from '../login/choose.ts';
import { logIn } from '../login/login.ts';
import { quoteForShell } from '../quote-for-shell.ts';
import { findOpenrcFiles } from './find-openrc.ts';

const INTRODUCTION = [
  'this program logs in to OpenStack Keystone for kubectl: kubectl runs it, and sends the token to your cluster',
  'it is not set up yet: no flag, no OS_* variable and no context of your kubeconfig says where to log in',
  'set it up once: log in and let the login be written to your kubeconfig, and then use kubectl as before',
];

/** A way to set up the program, as a choice and as commands. */
interface FirstStep {
  readonly name: string;
  readonly commands: readonly string[];
  readonly run: (user: TerminalUser) => Promise<CommandResult>;
}

const MAX_CLOUDS = 20;

function withFlags(call: Invocation, layer: Layer): Invocation {
  const flags = new Map([...call.flags, ...layer]);
  return { ...call, flags, runContext: { ...call.runContext, flags } };
}

async function listCloudSteps(call: Invocation): Promise<FirstStep[]> {
  const names = await readCloudNames(call.host, call.flags, OPTIONS);
  return names.slice(0, MAX_CLOUDS).map((cloud) => ({
    name: `log in to the cloud "${cloud}" of clouds.yaml`,
    commands: [`${PROGRAM_NAME} login --os-cloud=${quoteForShell(cloud)}`],
    run: () => logIn(call, new Map([['os-cloud', { value: cloud, origin: '--os-cloud' }]])),
  }));
}

/** A shell must read the file, because it can do anything. This program neither reads nor runs it. */
function makeOpenrcStep(path: string): FirstStep {
  const commands = [`. ${quoteForShell(path)}`, `${PROGRAM_NAME} kubeconfig add --set-current`];
  return {
    name: `use ${path}: show the two commands to type`,
    commands,
    run: () => Promise.resolve({ lines: ['Type these commands:', ...commands.map((command) => `  ${command}`)] }),
  };
}

async function listSteps(call: Invocation): Promise<readonly FirstStep[]> {
  return [
    ...(await listCloudSteps(call)),
    ...findOpenrcFiles(call.host).map(makeOpenrcStep),
    {
      name: 'log in: enter the URL of Keystone and your user',
      commands: [`${PROGRAM_NAME} login`],
      run: () => logIn(call),
    },
    {
      name: 'only add a context to the kubeconfig: kubectl logs in when you use it',
      commands: [`${PROGRAM_NAME} kubeconfig add --keystone-url=URL`],
      run: async (user) => {
        const { config } = await readConfig(call.host, call.flags, OPTIONS);
        return addContext(withFlags(call, await promptForKeystoneUrl(call.runContext, config, user)));
      },
    },
  ];
}

/**
 * Says what this program is, and offers the ways to set it up.
 *
 * @throws InteractionRequired if no prompt is possible
 * @throws UserCanceled
 * @throws PluginError if the step that the user chose fails
 */
export async function offerSetUp(call: Invocation): Promise<CommandResult> {
  const { host, reporter } = call;
  for (const line of INTRODUCTION) reporter.info(line);
  const steps = await listSteps(call);
  const user = makeCommandUser({ host, reporter });
  const chosen = await user.promptForChoice({
    message: 'What do you want to do?',
    choices: steps.map(({ name }, index) => ({ value: String(index), name })),
  });
  const step = steps[Number(chosen)];
  if (step !== undefined) return step.run(user);
  throw new InteractionRequired(
    `nothing says where to log in, and ${user.cannotPromptReason ?? 'nothing was chosen'}`,
    {
      hint: `type ${steps.map(({ commands }) => `"${commands.join('; ')}"`).join(' or ')}`,
    },
  );
}
