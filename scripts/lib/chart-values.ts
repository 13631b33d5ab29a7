/** Reads the values of the chart with their comments, for the table in its README. */

/** One value: its path, its default as YAML, and what the comment above it says. */
export interface ChartValue {
  readonly path: string;
  readonly defaultText: string;
  readonly description: string;
}

interface Parent {
  readonly indent: number;
  readonly path: string;
}

/**
 * Reads values.yaml, which has one key a line. A key without a value on its line and without a comment is a group.
 *
 * @throws Error if a value has no comment
 */
export function readChartValues(text: string): readonly ChartValue[] {
  const values: ChartValue[] = [];
  const parents: Parent[] = [];
  let comment: string[] = [];
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    const [, remark] = /^\s*# (.*)$/.exec(line) ?? [];
    const [, indentation = '', key, rest = ''] = /^( *)([\w./-]+):(?: (.*))?$/.exec(line) ?? [];
    if (remark !== undefined) comment.push(remark);
    else if (key === undefined) comment = [];
    else {
      const indent = indentation.length;
      while ((parents.at(-1)?.indent ?? -1) >= indent) parents.pop();
      const parent = parents.at(-1);
      const path = parent === undefined ? key : `${parent.path}.${key}`;
      const isGroup = rest === '';
      const block = isGroup ? readBlock(lines.slice(index + 1), indent) : [];
      const isDefaultMap = isGroup && block.every((inner) => !inner.trimStart().startsWith('# '));
      const hasParentWithDefault = values.some((value) => path.startsWith(`${value.path}.`));
      if (!hasParentWithDefault) {
        const description = comment.join(' ');
        if (!isGroup || isDefaultMap) values.push({ path, defaultText: isGroup ? toFlow(block) : rest, description });
        parents.push({ indent, path });
      }
      comment = [];
    }
  }
  const silent = values.find(
    ({ description, path }) => description === '' && !path.endsWith('.enabled') && path !== 'rbac.create',
  );
  if (silent !== undefined) throw new Error(`values.yaml: ${silent.path} needs a comment`);
  return values;
}

/** The lines below a key. */
function readBlock(lines: readonly string[], indent: number): readonly string[] {
  const end = lines.findIndex((line) => line.trim() !== '' && line.length - line.trimStart().length <= indent);
  return lines.slice(0, end < 0 ? lines.length : end).filter((line) => line.trim() !== '');
}

const toFlow = (lines: readonly string[]): string => lines.map((line) => line.trim()).join(' ');
