/** Words that match nothing. */
import type { FindingReporter } from './finding.ts';
import { lowerCase, replaceGoLetters } from './letter-case.ts';
import type { ListedText } from './policy-members.ts';

/** Constrained impersonation (Kubernetes enhancement 5284) has verbs such as `impersonate-on:user-info:list`. */
const VERB = /^(?:[a-z]+(?:[:-][a-z]+)*|\*)$/;

/** Reports verbs that no request has. */
export function reportVerbs(verbs: readonly ListedText[], where: string, report: FindingReporter): void {
  for (const { text, at } of verbs) {
    if (!VERB.test(text)) report('never', `${where}: "${text}" is not a verb and matches nothing`, at);
  }
}

/** Reads the verbs of version 2, whose capitals make no difference, and reports those that no request has. */
export function readLowerCaseVerbs(
  listed: readonly ListedText[],
  where: string,
  report: FindingReporter,
): readonly string[] {
  return listed.map(({ text, at }) => {
    const verb = lowerCase(text);
    if (VERB.test(verb)) return verb;
    const problem = `${where}: "${text}" is not a verb and matches nothing`;
    if (VERB.test(lowerCase(replaceGoLetters(text)))) {
      report('changed-letters', `${problem}; the Go program changed letters of it to i or k`, at);
    } else report('never', problem, at);
    return verb;
  });
}

/** Reports a path that no request has. */
export function reportPath(path: string, pattern: RegExp, at: number, report: FindingReporter): void {
  if (pattern.test(path)) return;
  const problem = path.startsWith('/')
    ? 'is a literal path: it has a * elsewhere than at its end'
    : 'does not begin with "/"';
  report('never', `"${path}" ${problem}`, at);
}

/** Reports a name that nothing has. */
export function reportName(name: ListedText, pattern: RegExp, where: string, report: FindingReporter): void {
  if (!pattern.test(name.text)) report('never', `${where}: "${name.text}" matches nothing`, name.at);
}
