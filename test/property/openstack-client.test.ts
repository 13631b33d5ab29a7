/**
 * The plugin sends what `openstack token issue` sends, with the same settings: a few cases of `npm run differential`,
 * against the real client of the system's packages.
 */
import t from 'tap';
import { checkClient, openLaboratory } from '../../scripts/differential/check-client.ts';
import { findPackagedClient } from '../../scripts/differential/find-openstack.ts';
import { KNOWN_DIFFERENCES } from '../../scripts/differential/known-differences.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { pickSize } from '../support/test-size.ts';

const SEED = 20_261_127;

const client = await findPackagedClient((line) => {
  t.comment(line);
});
const skip = 'missing' in client ? skipBecause(client.missing) : false;

void t.test(
  'random settings lead to the same login as with openstack, unless a reason is listed',
  { skip },
  async (t) => {
    if ('missing' in client) return;
    const laboratory = await openLaboratory(client);
    t.teardown(() => laboratory.close());
    const result = await checkClient(laboratory, { wellFormed: pickSize(1000, 100), seed: SEED });
    if ('difference' in result) {
      t.fail(`a difference; repeat it with npm run differential -- --seed ${result.seed} --cases 1 packaged`, {
        case: result.given,
        difference: result.difference,
      });
      return;
    }
    t.ok(result.same > result.wellFormed / 2, 'most logins are the same');
    t.comment(`${result.wellFormed} logins, ${result.same} the same, ${result.withoutLogin} cases without a login`);
  },
);

void t.test('each reason is given once', async (t) => {
  const reasons = KNOWN_DIFFERENCES.map(({ reason }) => reason);
  t.equal(new Set(reasons).size, reasons.length);
});
