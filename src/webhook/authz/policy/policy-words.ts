/** Words of version 1 that match nothing: it has no lists, exclusions or prefixes, and does not change capitals. */
import type { FindingReporter } from './finding.ts';
import type { ListedText } from './policy-members.ts';

const VERB = /^(?:[a-z]+|\*)$/;

/** Reports verbs that no request has. */
export function reportVerbs(verbs: readonly ListedText[], where: string, report: FindingReporter): void {
  for (const { text, at } of verbs) {
    if (!VERB.test(text)) report('never', `${where}: "${text}" is not a verb and matches nothing`, at);
  }
}

/** Reports a name that nothing has. */
export function reportName(name: ListedText, pattern: RegExp, where: string, report: FindingReporter): void {
  if (!pattern.test(name.text)) report('never', `${where}: "${name.text}" matches nothing`, name.at);
}
