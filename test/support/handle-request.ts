import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Test } from 'tap';

/**
 * Handles a request to a stand-in. A client may go in the middle of its request, such as at a deadline. Any other error of
 * the handler fails the test.
 */
export function handleRequest(
  t: Test,
  request: IncomingMessage,
  response: ServerResponse,
  handle: () => Promise<void>,
): void {
  handle().catch((error: unknown) => {
    if (request.complete) t.fail(`${request.method ?? ''} ${request.url ?? ''}: ${String(error)}`);
    response.destroy();
  });
}
