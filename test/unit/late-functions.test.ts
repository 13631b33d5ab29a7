/** Files whose body is evaluated when one of their functions is first called. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { makeLate } from '../../scripts/lib/late-functions.ts';

const SOURCE = `/** A file. */
import { join } from 'node:path';
import type { Stats } from 'node:fs';
import {
  events,
} from './events.mjs';

events.push('evaluated');
const made = events.length;

export function joinTwo(one: string, ...others: readonly string[]): string {
  return join(one, ...others, String(made));
}

const fail = (): never => {
  throw new Error('no');
};

export async function failLater(stats?: Stats): Promise<never> {
  await Promise.resolve(stats);
  return fail();
}
`;

interface LateModule {
  joinTwo(...names: readonly string[]): string;
  failLater(): Promise<never>;
}

void t.test('the body of a late file runs once, when one of its functions is first called', async (t) => {
  const folder = t.testdir({ 'events.mjs': 'export const events = [];' });
  writeFileSync(join(folder, 'late.mjs'), await makeLate(SOURCE, 'late.ts'));
  const load = (name: string): Promise<unknown> => import(pathToFileURL(join(folder, name)).href);
  const { events } = (await load('events.mjs')) as { events: string[] };
  const late = (await load('late.mjs')) as LateModule;
  t.same(Object.keys(late).toSorted(), ['failLater', 'joinTwo']);
  t.same(events, []);
  t.equal(late.joinTwo('a', 'b', 'c'), join('a', 'b', 'c', '1'));
  t.same(events, ['evaluated']);
  await t.rejects(late.failLater(), { message: 'no' });
  t.same(events, ['evaluated']);
});

void t.test('a file that exports anything but functions cannot be late', async (t) => {
  const sources = [
    'export const LIMIT = 5; export function f(): void {}',
    'export class Fault extends Error {}',
    'export const f = (): number => 5;',
    "export { join } from 'node:path'; export function f(): void {}",
    "export * from 'node:path'; export function f(): void {}",
    'export default function f(): void {}',
    'const unused = 1;',
  ];
  for (const source of sources)
    await t.rejects(makeLate(source, 'some.ts'), { message: /^some\.ts cannot be late: / }, source);
});
