import { findCachedCredential } from './fast-path/find-cached-credential.ts';
import { makeProcessHost } from '../shared/base/host.ts';

const host = makeProcessHost();
const document = findCachedCredential(host);
if (document === undefined) {
  // The only way into everything that is slow to load. `runCli` answers for its own failures.
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
