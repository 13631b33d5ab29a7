/**
 * `npm run recording`: records a session of a new user on a terminal, and draws it for the README. A test compares the
 * file with what the programs print now.
 */
import { writeFileSync } from 'node:fs';
import { findKubectl } from './lib/find-kubectl.ts';
import { COLUMNS, recordSession } from './recording/record.ts';
import { drawSession } from './recording/svg.ts';

await import('./build.ts');

const kubectl = await findKubectl('new');
if ('missing' in kubectl) throw new Error(`the recording needs kubectl: ${kubectl.missing}`);
const file = 'docs/recording.svg';
writeFileSync(file, drawSession(await recordSession(kubectl.path), COLUMNS));
console.log(`${file} is written.`);
