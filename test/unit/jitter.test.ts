/** The random delays of `npm test -- --jitter SEED`. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { Delays, makeRandom } from '../../scripts/jitter/delays.ts';
import { bundleJitter } from '../../scripts/lib/bundle-jitter.ts';

const KINDS = ['accept', 'connect', 'read', 'file', 'child'] as const;

void t.test('a seed decides the delays', (t) => {
  const draw = (seed: string): number[] => {
    const delays = new Delays(makeRandom(seed));
    return KINDS.flatMap((kind) => Array.from({ length: 20 }, () => delays.next(kind)));
  };
  t.strictSame(draw('1'), draw('1'));
  t.notSame(draw('1'), draw('2'));
  const all = ['1', '2', '3', '4'].flatMap(draw);
  t.ok(
    all.every((ms) => ms >= 0 && ms < 150),
    'none is long',
  );
  t.ok(all.includes(0) && all.some((ms) => ms > 0), 'some things are delayed, and some are not');
  t.end();
});

void t.test('later things are delayed more rarely', (t) => {
  const seeds = Array.from({ length: 10 }, (_, seed) => String(seed));
  const sum = (seed: string): number => {
    const delays = new Delays(makeRandom(seed));
    return Array.from({ length: 20_000 }, () => delays.next('read')).reduce((total, ms) => total + ms, 0);
  };
  const longest = Math.max(...seeds.map(sum));
  t.ok(longest > 0 && longest < 150_000, `${longest} ms for 20,000 reads`);
  t.end();
});

/** Sends a long body over TCP and back, writes and reads a file, and runs a program. */
const PROGRAM = `
const { once } = require('node:events');
const { createServer, request } = require('node:http');
const { connect, createServer: createTcpServer } = require('node:net');
const { readFile, writeFile } = require('node:fs/promises');
const { execFile } = require('node:child_process');
const { text } = require('node:stream/consumers');
const { promisify } = require('node:util');

async function main() {
  const body = 'x'.repeat(3_000_000);
  const server = createServer((incoming, outgoing) => incoming.pipe(outgoing)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const send = async () => {
    const outgoing = request({ port: server.address().port, method: 'POST' }).end(body);
    const [response] = await once(outgoing, 'response');
    return text(response);
  };
  const answers = await Promise.all(Array.from({ length: 5 }, send));
  server.close();

  const order = [];
  const tcp = createTcpServer((socket) => socket.once('data', (data) => socket.end(data))).listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address();
  for (const word of ['first', 'second']) order.push(await text(connect(port, '127.0.0.1').on('connect', function () { this.write(word); })));
  tcp.close();
  const refused = await once(connect(port, '127.0.0.1'), 'error').then(([error]) => error.code);

  await writeFile(process.argv[2], 'written');
  const missing = await readFile(process.argv[2] + '.missing').catch((error) => error.code);
  const { stdout } = await promisify(execFile)(process.execPath, ['-p', '1 + 1']);
  console.log(JSON.stringify([answers.every((answer) => answer === body), order, refused, await readFile(process.argv[2], 'utf8'), missing, stdout.trim()]));
}
main();
`;

void t.test('a program does the same with delays as without them', async (t) => {
  const folder = t.testdir({ 'program.cjs': PROGRAM });
  for (const seed of ['1', '2', '3', '4']) {
    const preload = await bundleJitter(folder, seed);
    const args = ['--require', preload, join(folder, 'program.cjs'), join(folder, `file-${seed}`)];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    t.equal(stderr, '');
    t.strictSame(JSON.parse(stdout), [true, ['first', 'second'], 'ECONNREFUSED', 'written', 'ENOENT', '2']);
  }
});
