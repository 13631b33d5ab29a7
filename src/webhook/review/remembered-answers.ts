/** What is remembered of one review. */
export interface RememberedAnswer {
  /** As in the metrics. */
  readonly result: string;
  readonly body: string;
}

/** A review with a longer text is not remembered, in characters. */
const MAX_TEXT = 4_000;

/** Of all texts together, in characters. */
const MAX_TEXTS = 1_000_000;

/**
 * The answers to the last SubjectAccessReviews. An answer depends on the text of the review and on the policy alone, and
 * API servers ask the same again when their own memory of it has expired. With another policy, all are forgotten.
 */
export class RememberedAnswers {
  readonly #answers = new Map<string, RememberedAnswer>();
  readonly #policy: () => object;
  #policyOfAnswers: object;
  #size = 0;

  /** @param policy the policy in force, the same object until it changes */
  constructor(policy: () => object) {
    this.#policy = policy;
    this.#policyOfAnswers = policy();
  }

  find(text: string): RememberedAnswer | undefined {
    this.#forgetOtherPolicy();
    return this.#answers.get(text);
  }

  /** Remembers an answer under the policy in force, which must be the policy that it was decided with. */
  store(text: string, answer: RememberedAnswer): void {
    this.#forgetOtherPolicy();
    if (text.length > MAX_TEXT || this.#answers.has(text)) return;
    this.#answers.set(text, answer);
    this.#size += text.length;
    for (const [oldest] of this.#answers) {
      if (this.#size <= MAX_TEXTS) return;
      this.#answers.delete(oldest);
      this.#size -= oldest.length;
    }
  }

  #forgetOtherPolicy(): void {
    const policy = this.#policy();
    if (policy === this.#policyOfAnswers) return;
    this.#policyOfAnswers = policy;
    this.#answers.clear();
    this.#size = 0;
  }
}
