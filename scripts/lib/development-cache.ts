// The folder of this user for what development needs and this project did not install.

import { homedir } from 'node:os';
import { join } from 'node:path';

/** Returns the folder for downloads of development tools. */
export function findDevelopmentCache(): string {
  const configured = process.env['XDG_CACHE_HOME'] ?? '';
  const home = configured === '' ? join(homedir(), '.cache') : configured;
  return join(home, 'client-keystone-auth-dev');
}
