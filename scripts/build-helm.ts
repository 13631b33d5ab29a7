// Builds helm with the Go of this machine and the modules of Go's proxy, once, into the user's cache. It takes some
// minutes, and needs neither root nor installed packages. The tests of the chart use it.
//
// usage: node scripts/setup.mjs scripts/build-helm.ts

import { dirname, join } from 'node:path';
import { runLogged } from './lib/build-steps.ts';
import { buildForCache } from './lib/cached-build.ts';
import { pathExists } from './lib/path-exists.ts';
import { findGo } from './lib/go.ts';
import { downloadDependencies, downloadModule } from './lib/go-module.ts';
import { findHelmPath, HELM_VERSION } from './kubernetes/find-helm.ts';

const MODULE = {
  path: 'helm.sh/helm/v4',
  version: `v${HELM_VERSION}`,
  sum: 'h1:UndCoLe9UPmNoL7IvWzaUXveL7T5t/ijoorEmgJdI9g=',
};

/** More would delay what runs beside the build in CI, and need more memory. */
const PROCESSORS = '2';

const path = await findHelmPath();
if (await pathExists(path)) console.log(`helm is already built: ${path}`);
else await build();

async function build(): Promise<void> {
  await buildForCache(`helm ${HELM_VERSION}`, dirname(path), async ({ work, done, log }) => {
    const go = findGo();
    if (go === undefined) throw new Error('Go is not installed, and helm is built with it');
    const env = {
      // Those of the machine, so that they can be shared; otherwise nothing outside the cache changes.
      GOMODCACHE: join(work, 'modules'),
      GOCACHE: join(work, 'cache'),
      ...process.env,
      GOPATH: join(work, 'go'),
      // Instead of those of the machine, which could change the build.
      GOFLAGS: '-modcacherw',
      GOMAXPROCS: PROCESSORS,
      GOWORK: 'off',
      CGO_ENABLED: '0',
    };
    const source = await downloadModule(go, MODULE, { cwd: work, env });
    // As the main module, so that Go compares each dependency with the module's go.sum.
    const options = ['-mod=readonly', '-buildvcs=false', `-p=${PROCESSORS}`, '-ldflags=-s -w'];
    await downloadDependencies(go, ['-mod=readonly', './cmd/helm'], { cwd: source, env });
    await runLogged(log, go, ['build', ...options, '-o', join(done, 'helm'), './cmd/helm'], { cwd: source, env });
  });
}
