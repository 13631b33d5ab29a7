/** Finds the context that kubectl uses, with its cluster and its user. */
import { ConfigError } from '../../shared/base/errors.ts';
import { findSimilarName } from '../../shared/base/similar-name.ts';
import type { Host } from '../../shared/base/host.ts';
import { isJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { readTextFile } from './kubeconfig-files.ts';
import { openKubeconfig } from './kubeconfig.ts';
import type { KubeconfigEntry, Kubeconfig } from './kubeconfig.ts';
import { parseYamlStream } from './yaml.ts';

/** An entry with its name. */
export interface NamedEntry extends KubeconfigEntry {
  readonly name: string;
}

/** A context: a user and the cluster that the user works with. */
export interface KubeconfigContext {
  readonly name: string;
  readonly path: string;
  readonly cluster: NamedEntry;
  readonly user: NamedEntry;
  /** What kubectl ignores in the files, as sentences without a full stop. */
  readonly warnings: readonly string[];
}

/** The values of `--kubeconfig` and `--context`; undefined means the default of kubectl. */
export interface ContextSelection {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/**
 * Reads a YAML or JSON file with a mapping; undefined if it does not exist.
 *
 * @throws ConfigError if it exists and cannot be read, is larger than 8 MiB, or is not a mapping
 */
export function readYamlMapping(path: string): JsonObject | undefined {
  const text = readTextFile(path);
  if (text === undefined) return undefined;
  const data = parseYamlStream(text, path).documents[0]?.data ?? {};
  if (isJsonObject(data)) return data;
  throw new ConfigError(`${path} is not a mapping of names to values`, { hint: 'correct the file, or remove it' });
}

function findPart(kubeconfig: Kubeconfig, kind: 'cluster' | 'user', context: NamedEntry): NamedEntry {
  const name = textAt(context.value, kind) ?? '';
  const entry = kubeconfig.find(kind, name);
  if (entry !== undefined) return { name, ...entry };
  throw new ConfigError(
    `the context ${context.name} in ${context.path} names a ${kind} that does not exist: "${name}"`,
    {
      hint: `correct its ${kind}, or choose another context with "kubectl config use-context"`,
    },
  );
}

/**
 * Finds the context that kubectl uses.
 *
 * @returns undefined if there is no kubeconfig
 * @throws ConfigError if a file cannot be read, no context is selected, or its cluster or user does not exist
 */
export function readContext(host: Host, selection: ContextSelection): KubeconfigContext | undefined {
  const kubeconfig = openKubeconfig(host, selection.kubeconfig);
  if (!kubeconfig.hasFile) return undefined;
  const files = kubeconfig.paths.join(', ');
  const name = selection.context ?? kubeconfig.currentContext;
  if (name === undefined) {
    throw new ConfigError(`${files} has no current context`, {
      hint: 'choose a context with "kubectl config use-context" or --context',
    });
  }
  const context = kubeconfig.find('context', name);
  if (context === undefined) {
    const meant = findSimilarName(name, kubeconfig.listNames('context'));
    throw new ConfigError(`there is no context "${name}" in ${files}`, {
      hint:
        meant === undefined
          ? 'choose another context with "kubectl config use-context" or --context'
          : `did you mean "${meant}"?`,
    });
  }
  const entry = { name, ...context };
  return {
    name,
    path: context.path,
    cluster: findPart(kubeconfig, 'cluster', entry),
    user: findPart(kubeconfig, 'user', entry),
    warnings: kubeconfig.warnings,
  };
}
