/** Replaces `@napi-rs/keyring` in an executable of Bun: its native library is a file in the executable. */
import { readFileSync } from 'node:fs';
import { makeProcessHost } from '../../../shared/base/host.ts';
import { loadKeyringAddon } from '../keyring-addon.ts';

/** Where Bun shows the files in the executable. */
const ADDON = '/$bunfs/root/keyring.node';

export const { Entry } = loadKeyringAddon(makeProcessHost(), readFileSync(ADDON)) as { Entry: unknown };
