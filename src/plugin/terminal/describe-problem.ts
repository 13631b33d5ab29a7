import { ConfigError } from '../../shared/base/errors.ts';

/** Returns why an answer to a prompt cannot be used, in one line; undefined if it can. */
export function describeProblem(use: () => unknown): string | undefined {
  try {
    use();
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.hint === undefined ? error.message : `${error.message}; ${error.hint}`;
  }
}
