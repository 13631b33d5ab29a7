// Runs a real Chromium if one is installed, because only a real browser shows which headers it sends from an https://
// page to loopback. Nothing is downloaded: $CHROMIUM is its path, otherwise common paths are tried.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { waitUntil } from './wait-until.ts';

/** Fills in login forms, submits other forms, and returns the text of the page. */
const PERSON = `(name, password) => {
  const field = document.querySelector('input[name=password]');
  const form = document.querySelector('form[method=post]');
  if (form && !form.dataset.done && document.readyState === 'complete') {
    if (field) { document.querySelector('input[name=login]').value = name; field.value = password; }
    if (field || document.querySelector('button[type=submit]')) { form.dataset.done = '1'; form.submit(); }
  }
  return location.href + ' ' + (document.body ? document.body.innerText : '');
}`;

export interface Chromium {
  /** Opens an address as a user, and continues until the text of a page matches. */
  visit(address: string, user: { name: string; password: string }, pattern: RegExp): Promise<string>;
}

/** Returns the program; undefined if none is installed. */
export function findChromium(): string | undefined {
  const configured = process.env['CHROMIUM'] ?? '';
  return [configured, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
    (file) => file !== '' && existsSync(file),
  );
}

interface Reply {
  readonly id?: number;
  readonly result?: { readonly targetId?: string; readonly sessionId?: string; readonly result?: { value?: unknown } };
}

/** Starts a headless Chromium that stops with the test. */
export async function startChromium(t: Test, program: string): Promise<Chromium> {
  const folder = mkdtempSync(join(tmpdir(), 'cka-chromium-'));
  const args = [
    ...['--headless=new', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--no-proxy-server'],
    // Chromium does not know the CA of the tests.
    ...['--ignore-certificate-errors', '--remote-debugging-port=0', `--user-data-dir=${folder}`],
    // Chromium's own sandbox does not work for root.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    'about:blank',
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: folder } });
  const ended = new Promise((done) => child.once('close', done));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const control = await new Promise<string>((resolve, reject) => {
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const [, url] = /DevTools listening on (ws:\S+)/.exec(output) ?? [];
      if (url !== undefined) resolve(url);
    });
    void ended.then(() => reject(new Error(`Chromium exited: ${output}`)));
  });

  const socket = new WebSocket(control);
  t.teardown(() => socket.close());
  await new Promise((done) => socket.addEventListener('open', done, { once: true }));
  const waiting = new Map<number, (reply: Reply) => void>();
  socket.addEventListener('message', ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply;
    waiting.get(reply.id ?? 0)?.(reply);
    waiting.delete(reply.id ?? 0);
  });
  let last = 0;
  const call = (method: string, params: object, sessionId?: string): Promise<Reply> => {
    const id = ++last;
    socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((done) => waiting.set(id, done));
  };

  return {
    async visit(address, { name, password }, pattern) {
      const { result: target } = await call('Target.createTarget', { url: address });
      const { result } = await call('Target.attachToTarget', { targetId: target?.targetId, flatten: true });
      const expression = `(${PERSON})(${JSON.stringify(name)}, ${JSON.stringify(password)})`;
      let shown = '';
      try {
        return await waitUntil(`${String(pattern)} in Chromium`, async () => {
          const reply = await call('Runtime.evaluate', { expression }, result?.sessionId);
          const value = reply.result?.result?.value;
          if (typeof value === 'string') shown = value;
          return pattern.test(shown) && shown;
        });
      } catch (error) {
        throw new Error(`Chromium shows ${shown}`, { cause: error });
      }
    },
  };
}
