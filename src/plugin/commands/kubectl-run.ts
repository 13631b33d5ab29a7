/** An exec stanza that runs this plugin, and the run that kubectl would start with it. */
import { GET_TOKEN, parseGetTokenCommand, scanArguments } from '../cli/parse-command-line.ts';
import type { Layer } from '../config/option.ts';
import { EXEC_INFO } from '../../shared/base/host.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { isPluginCommand, listStanzaArguments, readStanzaVariables } from '../kubeconfig/exec-stanza.ts';
import type { KubeconfigContext } from '../kubeconfig/read-context.ts';
import type { RunContext } from '../login/login-context.ts';
import type { Environment } from '../../shared/base/host.ts';
import { objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { mergeLayers } from '../../shared/options/layer.ts';

/** An exec stanza that runs the plugin, and the context that it belongs to. */
export interface ExecStanza {
  readonly context: KubeconfigContext;
  readonly exec: JsonObject;
  readonly command: string;
}

/** Returns the exec stanza of a context if it runs this plugin. */
export function findExecStanza(context: KubeconfigContext): ExecStanza | undefined {
  const exec = objectAt(context.user.value, 'exec');
  const command = textAt(exec, 'command') ?? '';
  return exec !== undefined && isPluginCommand(command) ? { context, exec, command } : undefined;
}

/** Lists the variables of a stanza that reach the plugin. */
export function listVariables({ exec }: ExecStanza): Environment {
  return Object.fromEntries(Object.entries(readStanzaVariables(exec)).filter(([name]) => name !== EXEC_INFO));
}

/** Whether an exec stanza sets variables or flags, which a shell does not have. */
export function hasOwnSettings({ exec }: ExecStanza): boolean {
  return (
    Object.keys(readStanzaVariables(exec)).length > 0 ||
    listStanzaArguments(exec).some((argument) => argument !== GET_TOKEN)
  );
}

function markOrigin(layer: Layer): Layer {
  return new Map(
    [...layer].map(([name, setting]) => [name, { ...setting, origin: `${setting.origin} of the kubeconfig` }]),
  );
}

/**
 * Makes the run that kubectl would start. The settings of the stanza override the variables of the shell; the flags of
 * this command override both. The person's own variables stay those of the shell.
 *
 * @throws UsageError | ConfigError if the run that kubectl starts would fail with it
 */
export function makeKubectlRun(run: RunContext, stanza: ExecStanza): RunContext {
  const args = listStanzaArguments(stanza.exec);
  const { flags } = parseGetTokenCommand(scanArguments(args));
  return {
    ...run,
    host: {
      ...run.host,
      argv: [...args, ...run.host.argv],
      env: { ...run.host.env, ...listVariables(stanza) },
    },
    flags: mergeLayers([run.flags, markOrigin(flags)], OPTIONS),
  };
}
