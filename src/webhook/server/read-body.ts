import type { Readable } from 'node:stream';
import { RequestProblem } from './answer.ts';

/** The largest body, in bytes. A review has a few KB. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** What all incomplete bodies may hold together, in bytes. */
const MAX_INCOMPLETE_BYTES = 16 * 1024 * 1024;

/** The client is gone before its request is complete. */
export class ClientGone extends Error {}

interface IncompleteBody {
  bytes: number;
  readonly giveUp: () => void;
}

/** Reads the bodies of requests, with limits for each of them and for all together. */
export class BodyReader {
  readonly #incomplete = new Set<IncompleteBody>();
  #bytes = 0;

  /**
   * Reads a body as text.
   *
   * @throws RequestProblem if it is too large, alone or together with the others
   * @throws ClientGone
   */
  read(source: Readable): Promise<string> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let isSettled = false;
      const fail = (makeError: () => Error): void => {
        if (isSettled) return;
        isSettled = true;
        this.#remove(body);
        source.off('data', receive);
        reject(makeError());
      };
      const body: IncompleteBody = {
        bytes: 0,
        giveUp: () => {
          fail(() => new RequestProblem(429, 'TooManyRequests', 'too many large requests at the same time'));
        },
      };
      const receive = (chunk: Buffer): void => {
        chunks.push(chunk);
        body.bytes += chunk.length;
        this.#bytes += chunk.length;
        this.#incomplete.add(body);
        if (body.bytes > MAX_BODY_BYTES) {
          fail(() => new RequestProblem(413, 'RequestEntityTooLarge', 'the request is invalid'));
        } else if (this.#bytes > MAX_INCOMPLETE_BYTES) {
          this.#giveUpLargest();
        }
      };
      source.on('data', receive);
      source.on('end', () => {
        isSettled = true;
        this.#remove(body);
        const [first] = chunks;
        // Most bodies arrive in one piece.
        resolve((chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)).toString());
      });
      source.on('close', () => {
        fail(() => new ClientGone());
      });
    });
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
