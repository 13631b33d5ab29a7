/** Reads and names the sections of CHANGELOG.md: `## Unreleased`, and `## VERSION (YYYY-MM-DD)` for each release. */
import { ReleaseError } from './release-error.ts';

/** What a release says about itself. */
export interface ReleaseNotes {
  /** The heading of its section, without `## `. */
  readonly heading: string;
  /** Whether the section still has to be named for the release. */
  readonly isUnreleased: boolean;
  /** Markdown, without the heading, with relative links that lead to the tag. */
  readonly text: string;
}

interface Section {
  readonly heading: string;
  readonly body: string;
}

const UNRELEASED = 'Unreleased';

function listSections(changelog: string): readonly Section[] {
  return changelog
    .split(/^## /m)
    .slice(1)
    .map((part) => {
      const [heading = '', ...lines] = part.split('\n');
      return { heading: heading.trim(), body: lines.join('\n').trim() };
    });
}

const isFor = (version: string, heading: string): boolean =>
  heading === version ||
  (heading.startsWith(`${version} (`) && /^\(\d{4}-\d\d-\d\d\)$/.test(heading.slice(version.length + 1)));

/**
 * Makes relative links absolute, because a release page is not in the folder of CHANGELOG.md.
 *
 * @param base URL of the files of the tag
 */
function makeLinksAbsolute(text: string, base: string): string {
  return text.replaceAll(/\]\((?!(?:[a-z][a-z\d+.-]*:|#))([^)\s]+)\)/gi, (_, path: string) => `](${base}/${path})`);
}

/**
 * Cuts the notes of a release from CHANGELOG.md: the section of its version, or else the section `Unreleased`.
 *
 * @param base URL of the files of the tag
 * @throws ReleaseError when there is no such section, or when both exist, or when it is empty
 */
export function cutReleaseNotes(changelog: string, version: string, base: string): ReleaseNotes {
  const sections = listSections(changelog);
  const named = sections.filter(({ heading }) => isFor(version, heading));
  const unreleased = sections.filter(({ heading, body }) => heading === UNRELEASED && body !== '');
  const [section, ...others] = [...named, ...unreleased];
  if (section === undefined)
    throw new ReleaseError(`CHANGELOG.md says nothing about ${version}: describe the changes below "## ${UNRELEASED}"`);
  if (others.length > 0)
    throw new ReleaseError(
      `CHANGELOG.md has ${String(others.length + 1)} sections for ${version} ("## ${section.heading}" and ` +
        `"## ${others[0]?.heading ?? ''}"): set the next version in package.json, or merge them`,
    );
  if (section.body === '') throw new ReleaseError(`CHANGELOG.md: the section "## ${section.heading}" is empty`);
  return {
    heading: section.heading,
    isUnreleased: section.heading === UNRELEASED,
    text: `${makeLinksAbsolute(section.body, base)}\n`,
  };
}

/**
 * Names the section `Unreleased` for a release.
 *
 * @param date `YYYY-MM-DD`
 */
export function nameUnreleased(changelog: string, version: string, date: string): string {
  return changelog.replace(new RegExp(`^## ${UNRELEASED}[ \\t]*$`, 'm'), `## ${version} (${date})`);
}
