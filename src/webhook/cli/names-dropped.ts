import type { Log } from '../observability/log.ts';

const MESSAGE =
  'names were dropped: they are reserved, contain a colon without a prefix or --allowed-colon-names, are ambiguous, or ' +
  'look like the ID of another project';

/**
 * Makes the function that counts and logs the names that a user does not get.
 *
 * @param member what identifies the user in the log
 */
export function reportDroppedNames(
  { metrics, log }: { readonly metrics: { recordDroppedNames(count: number): void }; readonly log: Log },
  member: 'uid' | 'username',
): (user: string, names: readonly string[]) => void {
  return (user, names) => {
    metrics.recordDroppedNames(names.length);
    log.warn({ [member]: user, names }, MESSAGE);
  };
}
