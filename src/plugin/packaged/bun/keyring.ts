/** Replaces `@napi-rs/keyring` in an executable of Bun: its native library is a file in the executable. */
import { readFileSync } from 'node:fs';
import { makeProcessHost } from '../../../shared/base/host.ts';
import { loadKeyringAddon } from '../keyring-addon.ts';

/** Where Bun shows the files in the executable. */
const FILES = { windows: 'B:/~BUN/root', others: '/$bunfs/root' };

const host = makeProcessHost();
const addon = `${host.platform === 'win32' ? FILES.windows : FILES.others}/keyring.node`;

export const { Entry } = loadKeyringAddon(host, readFileSync(addon)) as { Entry: unknown };
