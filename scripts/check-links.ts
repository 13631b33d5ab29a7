/**
 * Part of `npm run check`: checks that the relative links and the anchors of all Markdown files resolve.
 *
 * usage: node scripts/check-links.ts
 */
import { listMarkdownFiles } from './lib/markdown-files.ts';
import { checkLinks } from './lib/markdown-links.ts';

const files = listMarkdownFiles('.');
const { checked, broken } = checkLinks('.', files);
for (const line of broken) console.error(line);
console.log(`Checked ${checked} links in ${files.length} Markdown files: ${broken.length} broken.`);
if (broken.length > 0) process.exitCode = 1;
