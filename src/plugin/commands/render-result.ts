import { isPrintable, renderJson, renderLines } from '../../shared/base/terminal-text.ts';
import type { Paint, TerminalText } from '../../shared/base/terminal-text.ts';
import type { CommandResult, OutputData } from './command.ts';

async function renderYaml(data: OutputData): Promise<TerminalText> {
  const { stringifyYaml } = await import('../kubeconfig/yaml.ts');
  const lines = stringifyYaml(data).trimEnd().split('\n');
  // JSON is also YAML, and can escape characters that YAML would print as they are.
  return lines.every(isPrintable) ? renderLines(lines) : renderJson(data, 2);
}

type Render = (data: OutputData) => TerminalText | Promise<TerminalText>;

const RENDERERS: ReadonlyMap<string, Render> = new Map<string, Render>([
  ['json', (data) => renderJson(data, 2)],
  ['yaml', renderYaml],
]);

/**
 * Renders a result in the format that `--output` names.
 *
 * @param paint styles the text for users
 */
export async function renderResult(
  { lines, data }: CommandResult,
  format: string | undefined,
  paint: Paint,
): Promise<TerminalText> {
  const render = data === undefined ? undefined : RENDERERS.get(format ?? 'text');
  return render === undefined || data === undefined ? renderLines(lines, paint) : render(data);
}
