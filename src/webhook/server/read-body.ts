import type { Readable } from 'node:stream';
import { RequestProblem } from './answer.ts';

/** The largest body, in bytes. A review has a few KB. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** What all incomplete bodies may hold together, in bytes. */
const MAX_INCOMPLETE_BYTES = 16 * 1024 * 1024;

/** What becomes of a body: one call of one of the two, or none if the client goes before its request is complete. */
export interface BodyReceiver {
  readonly onText: (text: string) => void;
  /** The body is too large, alone or together with the others. */
  readonly onRefused: (problem: RequestProblem) => void;
}

interface IncompleteBody {
  bytes: number;
  readonly giveUp: () => void;
}

/** Reads the bodies of requests, with limits for each of them and for all together. */
export class BodyReader {
  readonly #incomplete = new Set<IncompleteBody>();
  readonly #maxBytes: number;
  #bytes = 0;

  /** @param maxBytes of one body */
  constructor(maxBytes = MAX_BODY_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Reads a body as text. It takes functions, because a promise costs more than the rest for the body of a review. */
  read(source: Readable, { onText, onRefused }: BodyReceiver): void {
    const chunks: Buffer[] = [];
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
      this.#remove(body);
    };
    const refuse = (status: number, reason: string, message: string): void => {
      settle();
      source.off('data', receive);
      onRefused(new RequestProblem(status, reason, message));
    };
    const body: IncompleteBody = {
      bytes: 0,
      giveUp: () => {
        refuse(429, 'TooManyRequests', 'too many large requests at the same time');
      },
    };
    const receive = (chunk: Buffer): void => {
      chunks.push(chunk);
      body.bytes += chunk.length;
      this.#bytes += chunk.length;
      this.#incomplete.add(body);
      if (body.bytes > this.#maxBytes) refuse(413, 'RequestEntityTooLarge', 'the request is invalid');
      else if (this.#bytes > MAX_INCOMPLETE_BYTES) this.#giveUpLargest();
    };
    source.on('data', receive);
    source.on('end', () => {
      if (isSettled) return;
      settle();
      const [first] = chunks;
      // Most bodies arrive in one piece.
      onText((chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)).toString());
    });
    source.on('close', settle);
  }

  #remove(body: IncompleteBody): void {
    if (this.#incomplete.delete(body)) this.#bytes -= body.bytes;
  }

  /** Reviews are small, so this hits those who send something else. */
  #giveUpLargest(): void {
    let largest: IncompleteBody | undefined;
    for (const body of this.#incomplete) if (body.bytes > (largest?.bytes ?? 0)) largest = body;
    largest?.giveUp();
  }
}
