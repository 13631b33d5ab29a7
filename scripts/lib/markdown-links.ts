/** Finds the links of Markdown files that lead nowhere: to a file or a heading that does not exist. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import GithubSlugger from 'github-slugger';
import MarkdownIt from 'markdown-it';

/** The result of a check. */
export interface LinkReport {
  /** How many relative links and anchors were checked. */
  readonly checked: number;
  /** One line for each broken link: `FILE:LINE: reason`. */
  readonly broken: readonly string[];
}

interface Link {
  readonly target: string;
  /** Starts at 1. */
  readonly line: number;
}

interface Page {
  readonly links: readonly Link[];
  /** The anchors as GitHub makes them from headings, and those of HTML elements. */
  readonly anchors: ReadonlySet<string>;
}

const parser = new MarkdownIt({ html: true });

const HTML_LINK = /\b(?:href|src|srcset)="([^"]*)"/g;
const HTML_ANCHOR = /\b(?:id|name)="([^"]*)"/g;

const listMatches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, match = '']) => match);

function parsePage(text: string): Page {
  const links: Link[] = [];
  const slugger = new GithubSlugger();
  const anchors = new Set<string>();
  const tokens = parser.parse(text, {});
  for (const [index, token] of tokens.entries()) {
    const line = (token.map?.[0] ?? 0) + 1;
    const add = (targets: readonly string[]): void => {
      links.push(...targets.map((target) => ({ target, line })));
    };
    for (const part of [token, ...(token.children ?? [])]) {
      if (part.type === 'html_block' || part.type === 'html_inline') {
        add(listMatches(part.content, HTML_LINK));
        for (const anchor of listMatches(part.content, HTML_ANCHOR)) anchors.add(anchor);
      }
      const target = part.attrGet('href') ?? part.attrGet('src');
      if (target !== null) add([String(target)]);
    }
    if (tokens[index - 1]?.type === 'heading_open') {
      const words = (token.children ?? []).filter(({ type }) => type === 'text' || type === 'code_inline');
      anchors.add(slugger.slug(words.map(({ content }) => content).join('')));
    }
  }
  return { links, anchors };
}

/**
 * Checks the relative links and the anchors of Markdown files. Links to other servers are not checked.
 *
 * @param root the folder that links which begin with `/` start from
 * @param files paths of the files, relative to `root`
 */
export function checkLinks(root: string, files: readonly string[]): LinkReport {
  const pages = new Map<string, Page>();
  const readPage = (path: string): Page => {
    const page = pages.get(path) ?? parsePage(readFileSync(path, 'utf8'));
    pages.set(path, page);
    return page;
  };
  const findFault = (file: string, target: string): string | undefined => {
    const [encodedPath = '', anchor] = target.split('#');
    const path = decodeURI(encodedPath);
    const base = path.startsWith('/') ? root : dirname(file);
    const linked = path === '' ? file : join(base, path);
    if (!existsSync(linked)) return `${target}: no such file`;
    if (anchor === undefined) return undefined;
    const isPage = linked.endsWith('.md') && statSync(linked).isFile();
    if (!isPage) return `${target}: only Markdown files have anchors that can be checked`;
    return readPage(linked).anchors.has(decodeURIComponent(anchor)) ? undefined : `${target}: no such heading`;
  };
  let checked = 0;
  const broken: string[] = [];
  for (const file of files.map((name) => join(root, name))) {
    for (const { target, line } of readPage(file).links) {
      if (/^(?:[a-z][a-z\d+.-]*:|\/\/)/i.test(target)) continue;
      checked += 1;
      const fault = findFault(file, target);
      if (fault !== undefined) broken.push(`${relative(root, file)}:${line}: ${fault}`);
    }
  }
  return { checked, broken };
}
