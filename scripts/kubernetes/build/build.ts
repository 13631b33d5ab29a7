/** What one build of kube-apiserver works with. */

/** A build, in an empty folder of its own that is removed afterward. */
export interface Build {
  readonly version: string;
  readonly folder: string;
  readonly log: string;
  readonly say: (line: string) => void;
}

/** Builds a kube-apiserver and returns its path in the folder of the build. */
export type Builder = (build: Build) => Promise<string>;
