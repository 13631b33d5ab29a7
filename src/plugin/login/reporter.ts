/** What a run tells the user in addition to its document; `cli/reporter.ts` writes it to stderr. */
export interface Reporter {
  readonly warn: (message: string) => void;
  readonly info: (message: string) => void;
  /** Shown only if stderr is a terminal. */
  readonly progress: (message: string) => void;
  /** Shown only with `--verbose` of at least this level (1 by default). */
  readonly debug: (message: string, level?: 1 | 2 | 3) => void;
}
