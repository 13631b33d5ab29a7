/** The text is not a policy. */
export class InvalidPolicyError extends Error {
  /** Where the problem is: the offset of its first character in the text. */
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}
