/** What is remembered about refused logins: for how long, for which credential, and what the file tells. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { CacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { serializeWithChecksum } from '../../src/plugin/cache/checksum.ts';
import type { CallerProcesses } from '../../src/plugin/cache/credential-tag.ts';
import { refusalFileName } from '../../src/plugin/cache/file-names.ts';
import { writePrivateFile } from '../../src/plugin/cache/private-file.ts';
import { findRefusal, forgetRefusals, isValidRefusalFile, rememberRefusal } from '../../src/plugin/cache/refusals.ts';
import type { Refusal, RefusalSubject, SentCredential } from '../../src/plugin/cache/refusals.ts';
import { FAILURE, makeCallers, makeHiddenProcess, makeProcess } from '../support/remember-refusal.ts';

const uid = process.geteuid?.();
const KEY = 'a'.repeat(64);
const NOW = Date.UTC(2100, 0, 1);
const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000];

const send = (...fields: string[]): SentCredential => ({ isLastingPart: false, fields });
const sendLasting = (...fields: string[]): SentCredential => ({ isLastingPart: true, fields });

interface Memory {
  readonly folder: CacheFolder;
  readonly find: (sent: readonly SentCredential[], now?: number, callers?: CallerProcesses) => Refusal | undefined;
  readonly remember: (subject: RefusalSubject, now?: number, callers?: CallerProcesses) => void;
}

const SHELL = makeProcess(20);
const KUBECTL = makeProcess(30, 20);
const CALLERS = makeCallers([SHELL, KUBECTL]);

function makeMemory(t: Test): Memory {
  const folder = { path: t.testdir(), uid };
  return {
    folder,
    find: (sent, now = NOW, callers = CALLERS) => findRefusal({ folder, key: KEY, callers, now }, sent),
    remember(subject, now = NOW, callers = CALLERS) {
      rememberRefusal({ folder, key: KEY, callers, now }, subject, FAILURE);
    },
  };
}

void t.test('the pauses of one credential grow, and another one is tried immediately', async (t) => {
  const { find, remember, folder } = makeMemory(t);
  const pauses = [30 * SECOND, 20 * MINUTE, HOUR, HOUR, HOUR];
  t.equal(find([send('pw')]), undefined);
  let now = NOW;
  for (const [index, pause] of pauses.entries()) {
    remember([send('pw')], now);
    t.strictSame(find([send('pw')], now), { ...FAILURE, refusedAt: now, nextAt: now + pause }, `refusal ${index + 1}`);
    t.ok(find([send('pw')], now + pause - 1), `it is not tried again within ${pause} ms`);
    t.equal(find([send('other')], now), undefined, 'another credential');
    t.equal(find([], now), undefined, 'a credential that is not known yet');
    t.equal(find([send('pw')], now + pause), undefined, `it is tried again after ${pause} ms`);
    t.equal(statSync(join(folder.path, refusalFileName(KEY))).mtimeMs, now + 24 * HOUR, 'the file ends after a day');
    now += pause;
  }
});

void t.test('a poller that runs every 5 s stays below the limits of accounts', async (t) => {
  const { find, remember } = makeMemory(t);
  const sentAt: number[] = [];
  for (let now = NOW; now < NOW + 24 * HOUR; now += 5 * SECOND) {
    if (find([send('pw')], now) !== undefined) continue;
    sentAt.push(now);
    remember([send('pw')], now);
  }
  const countWithin = (ms: number): number =>
    Math.max(...sentAt.map((from) => sentAt.filter((at) => at >= from && at < from + ms).length));
  t.equal(countWithin(15 * MINUTE), 2);
  t.equal(countWithin(HOUR), 3);
  t.equal(sentAt.filter((at) => at < NOW + HOUR).length, 3, 'three times in the first hour');
  t.equal(sentAt.filter((at) => at >= NOW + 2 * HOUR && at < NOW + 12 * HOUR).length, 10, 'then hourly');
});

void t.test('a credential starts anew after a day without a refusal, and after a login', async (t) => {
  const { find, remember, folder } = makeMemory(t);
  for (const at of [NOW, NOW + MINUTE, NOW + HOUR]) remember([send('pw')], at);
  const next = NOW + HOUR + 24 * HOUR;
  remember([send('pw')], next);
  t.match(find([send('pw')], next), { nextAt: next + 30 * SECOND });
  forgetRefusals(folder, KEY);
  t.equal(find([send('pw')], next), undefined);
});

void t.test('a new passcode does not make a wrong password right', async (t) => {
  const { find, remember } = makeMemory(t);
  const sent = (passcode: string): readonly SentCredential[] => [send('pw', passcode), sendLasting('pw')];
  for (const [index, passcode] of ['1', '2', '3'].entries()) {
    const now = NOW + index * 60 * SECOND;
    t.equal(find(sent(passcode), now), undefined, `passcode ${passcode} is tried`);
    remember(sent(passcode), now);
    t.ok(find(sent(passcode), now), 'and not again');
  }
  t.ok(find(sent('4'), NOW + HOUR), 'the fourth passcode waits');
  t.equal(find(sent('4'), NOW + 120 * SECOND + HOUR), undefined);
  t.equal(find([send('corrected', '4'), sendLasting('corrected')], NOW + 130 * SECOND), undefined);
});

void t.test('what the user answered counts for one kubectl command', async (t) => {
  const { find, remember } = makeMemory(t);
  remember('command');
  t.strictSame(find([]), { ...FAILURE, refusedAt: NOW, nextAt: undefined });
  t.ok(find([send('pw')], NOW + 29_999), 'whatever it would send');
  t.equal(find([], NOW + 30_000), undefined);
  t.equal(find([], NOW, makeCallers([SHELL, makeProcess(31, 20)])), undefined, 'the next command asks again');
  t.equal(find([], NOW, makeCallers([SHELL, KUBECTL], { isForKubectl: false })), undefined);
  remember('command', NOW, makeCallers([SHELL], { isForKubectl: false }));
  t.equal(find([], NOW, makeCallers([SHELL], { isForKubectl: false })), undefined, 'without kubectl, each run asks');
});

void t.test('processes of one user share the memory, as long as the process lives that keys it', async (t) => {
  const { find, remember } = makeMemory(t);
  remember([send('pw')]);
  const otherTerminal = [makeProcess(40), makeProcess(50, 40)];
  t.ok(find([send('pw')], NOW, makeCallers([SHELL, ...otherTerminal])), 'another terminal knows of it');
  t.equal(find([send('corrected')], NOW, makeCallers([SHELL, ...otherTerminal])), undefined);
  t.equal(find([send('pw')], NOW, makeCallers(otherTerminal)), undefined, 'the shell has ended');
  const recycled = { ...makeProcess(20), id: '20 200' };
  t.equal(find([send('pw')], NOW, makeCallers([recycled, ...otherTerminal])), undefined, 'its pid is used again');
  const moved = makeProcess(20, 1, 'other addresses');
  t.equal(find([send('pw')], NOW, makeCallers([moved, ...otherTerminal])), undefined, 'the addresses are the key');
});

void t.test('the process that lives longest keys the memory', async (t) => {
  const hidden = makeHiddenProcess(5, 1);
  const later = makeProcess(60, 5);
  for (const [name, processes, survivor] of [
    ['the first process of a container', [makeProcess(1, 0), hidden, later], makeProcess(1, 0)],
    ['the oldest ancestor that the kernel shows', [hidden, makeProcess(6, 5), makeProcess(60, 6)], makeProcess(6, 5)],
  ] as const) {
    const { find, remember } = makeMemory(t);
    remember([send('pw')], NOW, makeCallers(processes));
    t.ok(find([send('pw')], NOW, makeCallers([survivor, makeProcess(70, 5)])), name);
  }
  const { find, remember } = makeMemory(t);
  const unseen = makeCallers([makeHiddenProcess(60, 5)]);
  remember([send('pw')], NOW, unseen);
  t.ok(find([send('pw')], NOW, unseen), 'without addresses, one kubectl command keys it');
  t.ok(find([send('other')], NOW, unseen), 'whatever the credential');
  t.equal(find([send('pw')], NOW, makeCallers([makeHiddenProcess(61, 5)])), undefined);
  const script = makeCallers([makeHiddenProcess(62, 5)], { isForKubectl: false });
  remember([send('pw')], NOW, script);
  t.equal(find([send('pw')], NOW, script), undefined, 'and nothing without kubectl');
});

void t.test('credentials that take turns are each remembered', async (t) => {
  const { find, remember, folder } = makeMemory(t);
  const passwords = Array.from({ length: 8 }, (_, index) => `old-${index}`);
  for (const [index, password] of passwords.entries()) remember([send(password)], NOW + index);
  for (const password of passwords) t.ok(find([send(password)], NOW + 8), password);
  remember([send('old-8')], NOW + 8);
  t.equal(find([send('old-0')], NOW + 9), undefined, 'the oldest makes room');
  t.ok(statSync(join(folder.path, refusalFileName(KEY))).size < 64 * 1024);
});

void t.test('long reasons are cut, so that the file can be read', async (t) => {
  const { find, folder } = makeMemory(t);
  const failure = { ...FAILURE, message: '\u0001'.repeat(10_000), hint: '\u0001'.repeat(10_000) };
  for (let index = 0; index < 8; index += 1)
    rememberRefusal({ folder, key: KEY, callers: CALLERS, now: NOW }, [send(`pw-${index}`)], failure);
  t.ok(find([send('pw-0')]));
});

void t.test('a clock that moves neither forgets the count nor locks the user out', async (t) => {
  const { find, remember } = makeMemory(t);
  for (let count = 0; count < 3; count += 1) remember([send('pw')], NOW);
  t.ok(find([send('pw')], NOW - 59_999), 'a small correction ends no pause');
  t.equal(find([send('pw')], NOW - MINUTE), undefined, 'a clock that was set back does');
  const back = NOW - 30 * 24 * HOUR;
  remember([send('pw')], back);
  t.match(find([send('pw')], back), { refusedAt: back, nextAt: back + HOUR }, 'the count continues');
});

void t.test('the file contains no credential and no key, and other files are a miss', async (t) => {
  const { find, remember, folder } = makeMemory(t);
  const path = join(folder.path, refusalFileName(KEY));
  remember([send('canary-password')]);
  t.notMatch(readFileSync(path, 'utf8'), /canary|layout/);
  t.equal(isValidRefusalFile(folder, KEY), true);
  const put = (content: string): void => {
    writePrivateFile(folder.path, refusalFileName(KEY), content, NOW + HOUR);
  };
  for (const [name, content] of Object.entries({
    'an earlier version': serializeWithChecksum({ key: KEY, tag: 'f'.repeat(64), at: NOW }),
    'another key': serializeWithChecksum({ key: 'b', entries: [] }),
    'entries that are none': serializeWithChecksum({
      key: KEY,
      entries: [null, 1, {}, { kind: 'constructor', tag: 't', count: 1, at: NOW, message: '' }, { kind: 'command' }],
    }),
    damage: 'damage',
  })) {
    put(content);
    t.equal(find([send('canary-password')]), undefined, name);
    t.equal(isValidRefusalFile(folder, KEY), false, name);
    remember([send('canary-password')]);
    t.ok(find([send('canary-password')]), `${name} is replaced`);
  }
});
