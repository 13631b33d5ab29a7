import type { CommandResult, OutputData } from './command.ts';

/** As in `printable.ts`, but as JSON escapes it, and without the line feeds that JSON has between its values. */
const UNPRINTABLE = /[^\P{C}\n]|[\u2028\u2029]/gu;

function escapeUnits(text: string): string {
  return Array.from({ length: text.length }, (_, index) => {
    return `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }).join('');
}

/** JSON in which nothing is left that a terminal obeys. */
function renderJson(data: OutputData): string {
  return JSON.stringify(data, null, 2).replace(UNPRINTABLE, escapeUnits);
}

async function renderYaml(data: OutputData): Promise<string> {
  const { stringifyYaml } = await import('../kubeconfig/yaml.ts');
  const text = stringifyYaml(data).trimEnd();
  // JSON is YAML, and escapes what YAML would print as it is.
  return text.search(UNPRINTABLE) < 0 ? text : renderJson(data);
}

type Render = (data: OutputData) => string | Promise<string>;

const RENDERERS: ReadonlyMap<string, Render> = new Map<string, Render>([
  ['json', renderJson],
  ['yaml', renderYaml],
]);

/** Writes an answer in the format that `--output` names. */
export async function renderResult({ text, data }: CommandResult, format: string | undefined): Promise<string> {
  const render = data === undefined ? undefined : RENDERERS.get(format ?? 'text');
  const written = render === undefined || data === undefined ? text : await render(data);
  return written === '' ? '' : `${written}\n`;
}
