/** A context of a kubeconfig, as kubectl finds it in the files that it looks at. */
import { posix, win32 } from 'node:path';
import { codeOf, ConfigError } from '../errors.ts';
import { readIfThere } from '../file-stamp.ts';
import type { Host } from '../host.ts';
import { isJsonObject, listAt, objectAt, textAt } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { parseFirst } from './yaml.ts';

/** Something with a name, and the file that it is in. */
export interface Entry {
  readonly name: string;
  /** Absolute path. */
  readonly path: string;
  readonly value: JsonObject;
}

/** Who uses which cluster. */
export interface KubeconfigContext {
  readonly name: string;
  readonly path: string;
  readonly cluster: Entry;
  readonly user: Entry;
}

/** Which files to look at, and what to look for there; what is undefined is as kubectl has it. */
export interface Wanted {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** Larger than that of any fleet. */
const LARGEST_BYTES = 2 * 1024 * 1024;

const HINT = 'name another kubeconfig with --kubeconfig or KUBECONFIG';

/** The files of a kubeconfig, absolute, the strongest first; none where there is no home folder. */
export function listKubeconfigs(host: Host, named: string | undefined): readonly string[] {
  const { env, platform, cwd } = host;
  const paths = platform === 'win32' ? win32 : posix;
  if (named !== undefined) return [paths.resolve(cwd, named)];
  const listed = (env['KUBECONFIG'] ?? '').split(paths.delimiter).filter((path) => path !== '');
  if (listed.length > 0) return [...new Set(listed.map((path) => paths.resolve(cwd, path)))];
  const folder = host.home();
  return folder === undefined ? [] : [paths.join(folder, '.kube', 'config')];
}

/**
 * Reads a file of YAML or JSON; undefined where there is none.
 *
 * @throws ConfigError when it is there and cannot be read, is larger than 2 MiB or is no mapping
 */
export function readMapping(path: string): JsonObject | undefined {
  let bytes: Buffer;
  try {
    const file = readIfThere(path, LARGEST_BYTES + 1);
    if (!('bytes' in file)) return undefined;
    ({ bytes } = file);
  } catch (error) {
    throw new ConfigError(`${path} cannot be read (${codeOf(error)})`, { hint: HINT });
  }
  if (bytes.length > LARGEST_BYTES) throw new ConfigError(`${path} is larger than 2 MiB`, { hint: HINT });
  const data = parseFirst(bytes.toString(), path) ?? {};
  if (isJsonObject(data)) return data;
  throw new ConfigError(`${path} is not a mapping of names to values`, { hint: HINT });
}

interface Read {
  readonly path: string;
  readonly data: JsonObject;
}

/** The first file that has it counts. */
function find(files: readonly Read[], kind: 'cluster' | 'user' | 'context', name: string): Entry | undefined {
  for (const { path, data } of files) {
    const entry = listAt(data, `${kind}s`).find((one) => isJsonObject(one) && one['name'] === name);
    if (isJsonObject(entry)) return { name, path, value: objectAt(entry, kind) ?? {} };
  }
  return undefined;
}

function need(files: readonly Read[], kind: 'cluster' | 'user', context: Entry): Entry {
  const name = textAt(context.value, kind) ?? '';
  const found = find(files, kind, name);
  if (found !== undefined) return found;
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
export function readContext(host: Host, wanted: Wanted): KubeconfigContext | undefined {
  const files = listKubeconfigs(host, wanted.kubeconfig).flatMap((path) => {
    const data = readMapping(path);
    return data === undefined ? [] : [{ path, data }];
  });
  const [first] = files;
  if (first === undefined) return undefined;
  const current = files.map(({ data }) => textAt(data, 'current-context') ?? '').find((name) => name !== '');
  const name = wanted.context ?? current;
  if (name === undefined) {
    throw new ConfigError(`${first.path} has no current context`, {
      hint: 'choose one with "kubectl config use-context", or with --context',
    });
  }
  const context = find(files, 'context', name);
  if (context === undefined) {
    throw new ConfigError(`there is no context "${name}" in ${files.map(({ path }) => path).join(', ')}`, {
      hint: 'choose another with "kubectl config use-context", or with --context',
    });
  }
  return {
    name,
    path: context.path,
    cluster: need(files, 'cluster', context),
    user: need(files, 'user', context),
  };
}
