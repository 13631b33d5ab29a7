/** Finds where files repeat what package.json says, so that it stays the one place for it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { listMarkdownFiles } from './markdown-files.ts';
import type { Project } from './project.ts';

/** A file that repeats something, and its text as it must be. */
export interface Mention {
  /** Relative to the root. */
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

/**
 * Names the address of the project, its authors' address, its team and its version as package.json does. A chart has the
 * version twice.
 */
export function updateMentions(text: string, { name, version, repositoryUrl, organization, email }: Project): string {
  return text
    .replaceAll(new RegExp(`https://github\\.com/[\\w-]+/${name}(?![\\w-])`, 'g'), repositoryUrl)
    .replaceAll(/\b[\w-]+@users\.noreply\.github\.com\b/g, email)
    .replaceAll(/(?<=\s)@[\w-]+(?=\/maintainers\b)/g, `@${organization}`)
    .replaceAll(new RegExp(`(?<=--repo )[\\w-]+(?=/${name}\\b)`, 'g'), organization)
    .replaceAll(/(?<=\/k8s-keystone-auth:)\d[\w.-]*/g, version)
    .replaceAll(/(?<=^(?:version|appVersion): ')\d[\w.-]*(?='$)/gm, version);
}

function listFiles(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true }).flatMap((entry) =>
    entry.isFile() ? [relative(root, join(entry.parentPath, entry.name))] : [],
  );
}

/** Lists the files that repeat something, wherever it is out of date. */
export function listOutdatedMentions(root: string, project: Project): readonly Mention[] {
  const pages = listMarkdownFiles(root).map((path) => relative(root, path));
  const folders = ['.github', '.devcontainer', 'packaging'];
  const paths = new Set(['package.json', ...pages, ...folders.flatMap((folder) => listFiles(root, folder))]);
  const mentions = [...paths].map((path) => {
    const before = readFileSync(join(root, path), 'utf8');
    return { path, before, after: updateMentions(before, project) };
  });
  const file = join(root, '.node-version');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  mentions.push({ path: '.node-version', before, after: `${project.nodeVersion}\n` });
  return mentions.filter((mention) => mention.before !== mention.after);
}
