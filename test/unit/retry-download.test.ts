/** Downloads of the scripts, when the network fails for a moment. */
import t from 'tap';
import { retryDownload } from '../../scripts/lib/retry-download.ts';

void t.test('a download is tried again as often as there are pauses, and no more', async (t) => {
  for (const { failures, result } of [
    { failures: 0, result: '1 of 1' },
    { failures: 2, result: '3 of 3' },
    { failures: 9, result: 'Error: attempt 3 failed' },
  ]) {
    let attempts = 0;
    const download = (): Promise<string> => {
      attempts += 1;
      return attempts > failures
        ? Promise.resolve(`${attempts} of ${failures + 1}`)
        : Promise.reject(new Error(`attempt ${attempts} failed`));
    };
    t.equal(await retryDownload(download, [0, 0]).catch(String), result);
  }
});
