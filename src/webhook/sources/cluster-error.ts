/** A request to the cluster failed; the message quotes nothing. */
export class ClusterError extends Error {
  /** The status of the answer; undefined if there was none. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}
