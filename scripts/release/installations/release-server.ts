/** Serves a release on loopback, as a release page does: all files in one folder. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { listenOnLoopback } from '../../lib/listen-on-loopback.ts';

export interface ReleaseServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a server for the files of a folder on any free port of 127.0.0.1. */
export async function startReleaseServer(folder: string): Promise<ReleaseServer> {
  const server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '').slice(1));
    // A name is a file of the folder, never a path.
    if (!/^[\w.+~-]+$/.test(name)) {
      response.writeHead(404).end();
      return;
    }
    stat(join(folder, name)).then(
      ({ size }) => {
        response.writeHead(200, { 'content-length': size, 'content-type': 'application/octet-stream' });
        createReadStream(join(folder, name)).pipe(response);
      },
      () => {
        response.writeHead(404).end();
      },
    );
  });
  const port = await listenOnLoopback(server);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}
