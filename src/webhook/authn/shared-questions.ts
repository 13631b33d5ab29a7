/**
 * Questions to a server that several reviews share. A review that asks for the same key joins the question that runs, as
 * with Go's singleflight. A question that runs for long may be lost, for example on a connection that has died: then it
 * is asked again beside the first one, unless the server still answers what it was asked before, and is only slow.
 */
import type { Clock } from '../../shared/base/clock.ts';

/** A younger question is never asked again, in ms. */
const PATIENCE_MS = 2_000;

/** Asks the server, and says when the request is sent; a question that waits for its turn is not lost. */
export type Ask<T> = (onSent: () => void) => Promise<T>;

interface Question<T> {
  /** When its request was sent, in ms of a monotonic clock; Infinity before that. */
  readonly sentAt: () => number;
  readonly answer: Promise<T>;
}

/** Resolves to the first answer that decides, or else to the last one. */
function findFirst<T>(answers: readonly Promise<T>[], decides: (answer: T) => boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    let openCount = answers.length;
    for (const each of answers) {
      each.then(
        (answer) => {
          openCount -= 1;
          if (openCount === 0 || decides(answer)) resolve(answer);
        },
        (error: unknown) => {
          openCount -= 1;
          if (openCount === 0) reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    }
  });
}

export class SharedQuestions<T> {
  readonly #clock: Clock;
  readonly #decides: (answer: T) => boolean;
  readonly #running = new Map<string, Set<Question<T>>>();
  /** When the youngest question was sent that the server has answered, and when it last answered any. */
  #newestAnswered = -Infinity;
  #lastAnswer = -Infinity;

  /** @param decides whether an answer ends the wait for the other questions with the same key */
  constructor(clock: Clock, decides: (answer: T) => boolean = () => true) {
    this.#clock = clock;
    this.#decides = decides;
  }

  isRunning(key: string): boolean {
    return this.#running.has(key);
  }

  /** Joins the questions that run for the key, and asks another one if there is none or they may be lost. */
  ask(key: string, task: Ask<T>): Promise<T> {
    const questions = this.#running.get(key) ?? new Set();
    if (![...questions].some((question) => this.#isHopeful(question))) this.#start(key, questions, task);
    return findFirst(
      Array.from(questions, ({ answer }) => answer),
      this.#decides,
    );
  }

  #isHopeful({ sentAt }: Question<T>): boolean {
    if (this.#clock.monotonicMs() - sentAt() < PATIENCE_MS) return true;
    return this.#lastAnswer > sentAt() && this.#newestAnswered <= sentAt();
  }

  #start(key: string, questions: Set<Question<T>>, task: Ask<T>): void {
    this.#running.set(key, questions);
    let sentAt = Infinity;
    const answer = task(() => {
      sentAt = this.#clock.monotonicMs();
    })
      .then((value) => {
        if (this.#decides(value)) {
          this.#newestAnswered = Math.max(this.#newestAnswered, sentAt);
          this.#lastAnswer = this.#clock.monotonicMs();
        }
        return value;
      })
      .finally(() => {
        questions.delete(question);
        if (questions.size === 0) this.#running.delete(key);
      });
    const question = { sentAt: () => sentAt, answer };
    questions.add(question);
  }
}
