/** The files that docs/webhook tells operators to give to kube-apiserver, changed only in the names of their own site. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const EXAMPLES = 'docs/webhook/kube-apiserver';

/** The folder of the examples on a control-plane machine. */
export const SITE_FOLDER = '/etc/kubernetes/keystone';

/** Replaces text that must be there, so that an example cannot lose it unnoticed. */
function replaceNames(text: string, names: Readonly<Record<string, string>>): string {
  let replaced = text;
  for (const [name, value] of Object.entries(names)) {
    if (!replaced.includes(name)) throw new Error(`the example does not contain ${name}`);
    replaced = replaced.replaceAll(name, value);
  }
  return replaced;
}

/** Copies an example into a folder and returns its path. */
export function copyExample(folder: string, name: string, names: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  writeFileSync(path, replaceNames(readFileSync(join(EXAMPLES, name), 'utf8'), names));
  return path;
}

/** Reads an example with flags, whose files are in `folder`. */
export function readFlags(name: string, folder: string): Readonly<Record<string, string>> {
  const text = replaceNames(readFileSync(join(EXAMPLES, name), 'utf8'), { [SITE_FOLDER]: folder });
  const words = text.split('\n').flatMap((line) => (line.startsWith('--') ? [line.slice(2)] : []));
  return Object.fromEntries(
    words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] as const),
  );
}

/** Copies the kubeconfig of the webhook. */
export function copyWebhookKubeconfig(
  folder: string,
  { port, ca }: { readonly port: number; readonly ca: string },
): void {
  const text = readFileSync('packaging/webhook/webhook-kubeconfig.yaml', 'utf8')
    .replace(/https:\/\/[^/\s]+/, `https://127.0.0.1:${port}`)
    .replace(`${SITE_FOLDER}/ca.crt`, ca);
  writeFileSync(join(folder, 'webhook-kubeconfig.yaml'), text);
}

/** Returns a PEM file for a block of YAML with this indent. */
export function indentPem(path: string, spaces: number): string {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .replaceAll('\n', `\n${' '.repeat(spaces)}`);
}
