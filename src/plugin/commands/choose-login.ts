/** Which login a command is about: that of flags, variables and clouds.yaml, or that of a context of the kubeconfig. */
import { chooseMethod } from '../auth-methods/choose-method.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { readConfig } from '../config/read-config.ts';
import { openKubeconfig } from '../kubeconfig/kubeconfig.ts';
import { readContext } from '../kubeconfig/read-context.ts';
import type { ContextSelection } from '../kubeconfig/read-context.ts';
import type { RunContext } from '../login/login-context.ts';
import { ConfigError, PluginError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { findExecStanza, listVariables, makeKubectlRun } from './kubectl-run.ts';
import type { ExecStanza } from './kubectl-run.ts';
import { describeAlternative, describeConversion } from './kubeconfig/conversion.ts';

/** Whether flags, variables or clouds.yaml say where to log in. Invalid ones do: the command then reports them. */
export async function saysWhereToLogIn({ host, flags }: RunContext): Promise<boolean> {
  try {
    const { config } = await readConfig(host, flags, OPTIONS);
    if (config.has('keystone-url') || config.has('os-cloud')) return true;
    const { method } = chooseMethod(config);
    return method.worksWithoutKeystoneUrl?.(config) === true;
  } catch (error) {
    if (error instanceof PluginError) return true;
    throw error;
  }
}

/** @throws ConfigError if there is no such context, or it does not log in with this plugin */
function requireStanza(host: Host, selection: ContextSelection): ExecStanza {
  const context = readContext(host, selection);
  if (context === undefined) {
    throw new ConfigError('there is no kubeconfig', { hint: 'name a file with --kubeconfig or KUBECONFIG' });
  }
  const stanza = findExecStanza(context);
  if (stanza !== undefined) return stanza;
  const { name, user } = context;
  const kubeconfig = openKubeconfig(host, selection.kubeconfig);
  const [conversion] = describeConversion(kubeconfig, user.name);
  throw new ConfigError(`the user "${user.name}" of context "${name}" does not log in with this program`, {
    hint: conversion ?? describeAlternative(kubeconfig, user.name),
  });
}

/** Finds the stanza of the current context. A kubeconfig that cannot be used says nothing about a login. */
function findCurrentStanza(host: Host, kubeconfig: string | undefined): ExecStanza | undefined {
  try {
    const context = readContext(host, { kubeconfig, context: undefined });
    return context === undefined ? undefined : findExecStanza(context);
  } catch (error) {
    if (error instanceof PluginError) return undefined;
    throw error;
  }
}

/** A run, and the context that its login comes from, if it does. */
export interface ChosenLogin {
  readonly run: RunContext;
  readonly usedContext: string | undefined;
}

/** Makes this run the one that kubectl would start: its variables are then those of this process too. */
function useStanza(run: RunContext, stanza: ExecStanza): ChosenLogin {
  const { host, flags } = makeKubectlRun(run, stanza);
  run.host.setKubeconfigVariables(listVariables(stanza));
  return { run: { ...run, host: { ...run.host, argv: host.argv }, flags }, usedContext: stanza.context.name };
}

async function useCurrentStanza(run: RunContext, kubeconfig: string | undefined): Promise<ChosenLogin> {
  const unchanged = { run, usedContext: undefined };
  if (await saysWhereToLogIn(run)) return unchanged;
  const stanza = findCurrentStanza(run.host, kubeconfig);
  if (stanza === undefined) return unchanged;
  const { name, path } = stanza.context;
  try {
    if (!(await saysWhereToLogIn(makeKubectlRun(run, stanza)))) return unchanged;
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    run.reporter.warn(`the login of context ${name} in ${path} cannot be used: ${error.message}`);
    return unchanged;
  }
  run.reporter.info(`using the login of context ${name} in ${path}, because nothing else says where to log in`);
  return useStanza(run, stanza);
}

/**
 * Chooses the login of a command: the context that `--context` or `--kubeconfig` selects, with the settings that kubectl
 * would use; else the settings of the shell; else the current context.
 *
 * @param options.fileOnly whether `--kubeconfig` does not select a login, because the command changes that file
 * @throws ConfigError | UsageError if the selected context cannot be used
 */
export async function chooseLogin(
  run: RunContext,
  selection: ContextSelection,
  { fileOnly }: { readonly fileOnly: boolean },
): Promise<ChosenLogin> {
  const { kubeconfig, context } = selection;
  const isSelected = context !== undefined || (kubeconfig !== undefined && !fileOnly);
  return isSelected ? useStanza(run, requireStanza(run.host, selection)) : useCurrentStanza(run, kubeconfig);
}
