/**
 * A signal can arrive in each state of a prompt. Whatever it does to the process, the terminal is as it was before: on a
 * real terminal, many times.
 */
import { constants } from 'node:os';
import t from 'tap';
import { answer, ENTER } from '../support/answer-prompts.ts';
import { readExecCredential } from '../support/check-run.ts';
import { checkCursor, inParallel, setUpPrompts } from '../support/prompt-fixture.ts';
import { PASSWORD } from '../support/stand-in-login.ts';
import { runWithStty } from '../support/terminal.ts';
import { pickSize } from '../support/test-size.ts';

await t.test('a signal at a prompt leaves the terminal as it was', inParallel(), async (t) => {
  const rounds = pickSize(20, 4);
  const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
  const names = [...endSignals, 'SIGTSTP', 'SIGWINCH', 'Ctrl-Z'] as const;
  await Promise.all(
    names.flatMap((name) =>
      Array.from({ length: rounds }, (_, round) =>
        t.test(`${name} leaves the terminal as it was, round ${String(round + 1)}`, inParallel(), async (t) => {
          const fixture = await setUpPrompts(t);
          const view: { raw?: () => string } = {};
          const isEnding = endSignals.some((one) => one === name);
          const stops = name === 'SIGTSTP' || name === 'Ctrl-Z';
          const run = await runWithStty(fixture.command(fixture.login), async (terminal) => {
            view.raw = () => terminal.raw();
            await terminal.waitFor('? Password');
            // Each letter redraws the prompt, which would look like a repeated prompt.
            if (!stops) terminal.type('abc');
            if (name === 'Ctrl-Z') terminal.type('\x1a');
            else terminal.signal(name);
            if (isEnding) return;
            if (stops) await answer(terminal, '? Password', PASSWORD);
            else terminal.type(`\x7f\x7f\x7f${PASSWORD}${ENTER}`);
          });
          t.equal(
            run.exitCode,
            isEnding ? 128 + constants.signals[name as (typeof endSignals)[number]] : 0,
            run.screen,
          );
          t.equal(run.after, run.before, 'the terminal is restored');
          t.strictSame(
            run.whileStopped,
            stops ? [run.before] : [],
            'the terminal is also restored while the process is stopped',
          );
          checkCursor(t, view.raw?.() ?? '');
          t.notOk((view.raw?.() ?? '').includes(PASSWORD));
          if (isEnding) t.equal(fixture.readStdout(), '');
          else readExecCredential(t, fixture.readStdout());
          t.equal(fixture.keystone.countLogins(), isEnding ? 0 : 1);
        }),
      ),
    ),
  );
});
