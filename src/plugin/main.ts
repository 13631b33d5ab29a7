import { findCachedCredential } from './fast-path/find-cached-credential.ts';
import { makeProcessHost } from '../shared/base/host.ts';

const host = makeProcessHost();
const document = findCachedCredential(host);
if (document === undefined) {
  // A dynamic import, so that a cache hit does not load the slow path. `runCli` reports its own errors.
  void import('./cli/cli.ts').then(({ runCli }) => runCli(host));
} else {
  const failure = host.writeOut(document);
  if (failure === undefined) {
    host.exit();
  } else {
    void import('./cli/cli.ts').then(({ reportWriteFailure }) => {
      reportWriteFailure(host, failure);
    });
  }
}
