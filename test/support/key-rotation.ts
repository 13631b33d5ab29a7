/** Commands that run in loops while an issuer begins to sign with a new key. */
import type { Test } from 'tap';
import { readKeyId, readTokens, removeJwts } from './cached-tokens.ts';
import type { CacheOwner } from './cached-tokens.ts';
import { waitUntil } from './wait-until.ts';

export interface RotationLoops {
  /** Whose cached JWTs are removed before each command, so that each command needs an exchange. */
  readonly owner: CacheOwner;
  readonly loops: number;
  readonly run: () => Promise<{ readonly status: number | null; readonly stderr: string }>;
  /** Fulfilled when the new key is about to sign, or signs. */
  readonly rotate: () => Promise<unknown>;
  readonly isNewKey: (kid: string) => boolean;
  /** Whether the commands have been everywhere, for the test of several replicas. */
  readonly isCovered?: () => boolean;
}

/** Checks that no command is refused before each loop has run twice with the new key. */
export async function checkRotation(t: Test, rotation: RotationLoops): Promise<void> {
  const { owner, loops, run, rotate, isNewKey, isCovered = () => true } = rotation;
  const failures: string[] = [];
  let count = 0;
  let isOver = false;
  // Also if a wait fails: the loops would keep the test file from ending.
  t.teardown(() => (isOver = true));
  const loop = async (): Promise<void> => {
    while (!isOver) {
      removeJwts(owner);
      const { status, stderr } = await run();
      if (status !== 0) failures.push(stderr);
      count += 1;
    }
  };
  const running = Array.from({ length: loops }, loop);
  await waitUntil('each loop has begun', () => count >= loops);
  await rotate();
  await waitUntil('JWTs have the new key', () => readTokens(owner).jwts.map(readKeyId).some(isNewKey));
  const atSwitch = count;
  await waitUntil('each loop uses it', () => count >= atSwitch + 2 * loops && isCovered());
  isOver = true;
  await Promise.all(running);
  t.same(failures, [], 'nobody is refused');
  t.comment(`${count} commands, ${failures.length} refused`);
}
