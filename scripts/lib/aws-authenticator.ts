/** Another credential plugin for kubectl, to compare with: it signs a token without any request. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findGo } from '../../test/support/go-proxy-rule.ts';
import { findDevelopmentCache } from './development-cache.ts';

const VERSION = 'v0.6.13';
const PACKAGE = 'sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator';

/**
 * Builds it in the cache for development, and returns its path; undefined without a Go toolchain.
 *
 * @throws Error when the build fails
 */
export function buildAwsAuthenticator(): string | undefined {
  const folder = join(findDevelopmentCache(), 'aws-iam-authenticator', VERSION);
  const path = join(folder, 'aws-iam-authenticator');
  if (existsSync(path)) return path;
  const go = findGo();
  if (go === undefined) return undefined;
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, GOFLAGS: '-trimpath' };
  execFileSync(go, ['install', `${PACKAGE}@${VERSION}`], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  return path;
}
