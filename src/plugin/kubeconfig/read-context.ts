/** A context of a kubeconfig, as kubectl finds it in the files that it looks at. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { isJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { readTextFile } from './kubeconfig-files.ts';
import { openKubeconfig } from './kubeconfig.ts';
import type { KubeconfigEntry, Kubeconfig } from './kubeconfig.ts';
import { parseYamlStream } from './yaml.ts';

/** Something with a name, and the file that it is in. */
export interface NamedEntry extends KubeconfigEntry {
  readonly name: string;
}

/** Who uses which cluster. */
export interface KubeconfigContext {
  readonly name: string;
  readonly path: string;
  readonly cluster: NamedEntry;
  readonly user: NamedEntry;
}

/** Which files to look at, and what to look for there; what is undefined is as kubectl has it. */
export interface ContextSelection {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/**
 * Reads a file of YAML or JSON; undefined where there is none.
 *
 * @throws ConfigError when it is there and cannot be read, is larger than a kubeconfig may be, or is no mapping
 */
export function readYamlMapping(path: string): JsonObject | undefined {
  const text = readTextFile(path);
  if (text === undefined) return undefined;
  const data = parseYamlStream(text, path).documents[0]?.data ?? {};
  if (isJsonObject(data)) return data;
  throw new ConfigError(`${path} is not a mapping of names to values`, { hint: 'correct it, or remove it' });
}

function need(kubeconfig: Kubeconfig, kind: 'cluster' | 'user', context: NamedEntry): NamedEntry {
  const name = textAt(context.value, kind) ?? '';
  const found = kubeconfig.find(kind, name);
  if (found !== undefined) return { name, ...found };
  throw new ConfigError(`the context ${context.name} in ${context.path} is for a ${kind} "${name}", which is nowhere`, {
    hint: `correct its ${kind}, or choose another context with "kubectl config use-context"`,
  });
}

/**
 * Finds the context that kubectl would use.
 *
 * @returns undefined where there is no kubeconfig
 * @throws ConfigError where a file cannot be read, no context is chosen, or it is for what is nowhere
 */
export function readContext(host: Host, wanted: ContextSelection): KubeconfigContext | undefined {
  const kubeconfig = openKubeconfig(host, wanted.kubeconfig);
  if (!kubeconfig.hasFile) return undefined;
  const files = kubeconfig.paths.join(', ');
  const name = wanted.context ?? kubeconfig.currentContext;
  if (name === undefined) {
    throw new ConfigError(`${files} has no current context`, {
      hint: 'choose one with "kubectl config use-context", or with --context',
    });
  }
  const context = kubeconfig.find('context', name);
  if (context === undefined) {
    throw new ConfigError(`there is no context "${name}" in ${files}`, {
      hint: 'choose another with "kubectl config use-context", or with --context',
    });
  }
  const entry = { name, ...context };
  return {
    name,
    path: context.path,
    cluster: need(kubeconfig, 'cluster', entry),
    user: need(kubeconfig, 'user', entry),
  };
}
