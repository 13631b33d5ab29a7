import type { CommandResult, OutputData } from './command.ts';

/** Characters that a terminal could interpret, except the line feeds between the values of JSON. */
const UNPRINTABLE = /[^\P{C}\n]|[\u2028\u2029]/gu;

function escapeUnits(text: string): string {
  return Array.from({ length: text.length }, (_, index) => {
    return `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }).join('');
}

/** Renders JSON with escapes for all characters that a terminal could interpret. */
function renderJson(data: OutputData): string {
  return JSON.stringify(data, null, 2).replace(UNPRINTABLE, escapeUnits);
}

async function renderYaml(data: OutputData): Promise<string> {
  const { stringifyYaml } = await import('../kubeconfig/yaml.ts');
  const text = stringifyYaml(data).trimEnd();
  // JSON is also YAML, and can escape characters that YAML would print as they are.
  return text.search(UNPRINTABLE) < 0 ? text : renderJson(data);
}

type Render = (data: OutputData) => string | Promise<string>;

const RENDERERS: ReadonlyMap<string, Render> = new Map<string, Render>([
  ['json', renderJson],
  ['yaml', renderYaml],
]);

/** Renders a result in the format that `--output` names. */
export async function renderResult({ text, data }: CommandResult, format: string | undefined): Promise<string> {
  const render = data === undefined ? undefined : RENDERERS.get(format ?? 'text');
  const output = render === undefined || data === undefined ? text : await render(data);
  return output === '' ? '' : `${output}\n`;
}
