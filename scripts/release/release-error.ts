/** A reason not to release: one line that says what to do. */
export class ReleaseError extends Error {}
