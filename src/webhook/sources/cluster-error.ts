/** A request to the cluster failed; the message quotes nothing. */
export class ClusterError extends Error {}
