// Stands in for the test that owns a server, where a script uses the servers of the tests.

import type { Owner } from '../../test/support/webhook-client.ts';

export interface ScriptOwner extends Owner {
  /** Runs the tasks, the last one first. */
  end(): Promise<void>;
}

/** Makes an owner without any task. */
export function makeOwner(): ScriptOwner {
  const tasks: (() => unknown)[] = [];
  return {
    teardown: (task) => tasks.push(task),
    end: async () => {
      for (const task of tasks.splice(0).toReversed()) await task();
    },
  };
}
