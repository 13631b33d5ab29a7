// The metrics, and what is made of them: alerts and a dashboard. Runs against the stand-in Keystone.

import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import t from 'tap';
import type { Test } from 'tap';
import { PROJECT } from '../../scripts/lib/project.ts';
import { REFUSAL_CAUSES } from '../../src/webhook/review/review.ts';
import { ISSUER_URL, makeForm, postForm } from '../support/issuer-settings.ts';
import { startIssuer } from '../support/issuer.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview, makeFakeToken } from '../support/webhook-client.ts';
import { issueToken, startTestKeystone, VALIDATION } from '../support/webhook-keystone.ts';
import { makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const skip = skipWithout('promtool', () => canRun('promtool', '--version'));

const readMetrics = async (webhook: TestWebhook): Promise<string> =>
  String((await webhook.sendRequest({ path: '/metrics' })).body);

/** The names that a query may use: those of the metrics, and of the series of histograms. */
function listSeries(metrics: string): ReadonlySet<string> {
  return new Set([...metrics.matchAll(/^(\w+)[ {]/gm)].map(([, name = '']) => name));
}

function listUsedMetrics(query: string): readonly string[] {
  return [...query.matchAll(/\b(?:keystone_auth|process|nodejs)_\w+/g)].map(([name]) => name);
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook_url: string };
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly query: string | { readonly query: string } }[] };
}

/** A server, and what is made of its metrics. */
interface MonitoredServer {
  readonly name: string;
  readonly alerts: string;
  readonly dashboard: string;
  readonly alertTests: string;
  /** Starts one that has answered something, and has refused something. */
  readonly startUsed: (t: Test) => Promise<TestWebhook>;
}

const SERVERS: readonly MonitoredServer[] = [
  {
    name: 'the webhook',
    alerts: 'packaging/chart/files/alerts.yaml',
    dashboard: 'packaging/chart/files/dashboard.json',
    alertTests: 'test/webhook/alerts.promtool.yaml',
    async startUsed(t) {
      const keystone = await startTestKeystone(t);
      const webhook = await startWebhook(t, { keystone });
      await webhook.reviewToken(issueToken(keystone));
      await webhook.isAllowed(makeAccessReview());
      return webhook;
    },
  },
  {
    name: 'the issuer',
    alerts: 'packaging/chart/files/issuer-alerts.yaml',
    dashboard: 'packaging/chart/files/issuer-dashboard.json',
    alertTests: 'test/webhook/issuer-alerts.promtool.yaml',
    async startUsed(t) {
      const keystone = await startTestKeystone(t);
      const issuer = await startIssuer(t, { keystone });
      t.match(await postForm(issuer, makeForm(issueToken(keystone))), { status: 200 });
      t.match(await postForm(issuer, makeForm('junk')), { status: 400 });
      return issuer;
    },
  },
];

const readRules = ({ alerts }: MonitoredServer): readonly Rule[] =>
  (load(readFileSync(alerts, 'utf8')) as { readonly groups: readonly { readonly rules: Rule[] }[] }).groups.flatMap(
    (group) => group.rules,
  );

void t.test('each refusal is counted with its cause, which is one of a few words', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone });
  t.match(
    await readMetrics(webhook),
    'keystone_auth_refusals_total{cause="not-accepted"} 0',
    'before the first refusal',
  );
  await webhook.reviewToken('junk');
  await webhook.reviewToken(makeFakeToken());
  const token = issueToken(keystone);
  t.match(await webhook.reviewToken(token), { authenticated: true });
  const text = await readMetrics(webhook);
  t.match(text, 'keystone_auth_refusals_total{cause="unrecognized"} 1');
  t.match(text, 'keystone_auth_refusals_total{cause="not-accepted"} 1');
  const causes = [...text.matchAll(/^keystone_auth_refusals_total\{cause="([^"]+)"\}/gm)].map(
    ([, cause = '']) => cause,
  );
  t.strictSame(causes.toSorted(), [...REFUSAL_CAUSES].toSorted());
});

void t.test(
  'with any shape of token, what does not fit into a header is refused, and is no outage of Keystone',
  async (t) => {
    const keystone = await startTestKeystone(t);
    const webhook = await startWebhook(t, { keystone, args: ['--any-token-shape'] });
    const tokens = ['a\nb', 'a\0', '\u0141', 'x'.repeat(20_000)];
    for (const token of tokens) t.match(await webhook.reviewToken(token), { authenticated: false });
    const text = await readMetrics(webhook);
    t.match(text, `keystone_auth_refusals_total{cause="unrecognized"} ${tokens.length}`);
    t.match(text, 'keystone_auth_keystone_validations_total{outcome="unknown"} 0');
  },
);

void t.test('the metrics say when the certificate expires and whether the current content is in force', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, '[]');
  const webhook = await startWebhook(t, { args: ['--keystone-policy-file', file] });
  const pki = await shareTestPki();
  const expiry = new X509Certificate(readFileSync(pki.server.cert)).validToDate.getTime() / 1_000;
  const text = await readMetrics(webhook);
  t.match(text, `keystone_auth_certificate_expiry_timestamp_seconds ${expiry}\n`);
  t.match(text, 'keystone_auth_last_reload_successful{what="policy"} 1');
  t.match(text, 'keystone_auth_last_reload_successful{what="certificates"} 1');
  t.match(text, 'keystone_auth_reloads_total{what="policy",result="failed"} 0');
  writeFileSync(file, 'nonsense');
  await webhook.clock.advance(1_000);
  await waitUntil('the broken policy shows', async () =>
    (await readMetrics(webhook)).includes('keystone_auth_last_reload_successful{what="policy"} 0'),
  );
  writeFileSync(file, '[]');
  await webhook.clock.advance(1_000);
  await waitUntil('the repaired policy shows', async () =>
    (await readMetrics(webhook)).includes('keystone_auth_last_reload_successful{what="policy"} 1'),
  );
});

for (const server of SERVERS) {
  void t.test(`the metrics of ${server.name} follow the naming rules of Prometheus`, { skip }, async (t) => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await readMetrics(await server.startUsed(t)),
      encoding: 'utf8',
    });
    t.strictSame({ status, output: stdout + stderr }, { status: 0, output: '' });
  });

  void t.test(`each metric that the alerts and the dashboard of ${server.name} use exists`, async (t) => {
    const series = listSeries(await readMetrics(await server.startUsed(t)));
    const { panels, templating } = JSON.parse(readFileSync(server.dashboard, 'utf8')) as Dashboard;
    const queries = [
      ...readRules(server).map(({ expr }) => expr),
      ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
      ...templating.list.map(({ query }) => (typeof query === 'string' ? query : query.query)),
    ];
    const used = [...new Set(queries.flatMap(listUsedMetrics))];
    t.ok(used.length > 10);
    t.strictSame(
      used.filter((name) => !series.has(name)),
      [],
    );
  });

  void t.test(`each alert of ${server.name} has a page that says what to do, and is named there`, (t) => {
    const prefix = `${PROJECT.repositoryUrl}/blob/main/`;
    const known = readFileSync('docs/webhook/operations.md', 'utf8');
    for (const { alert, annotations } of readRules(server)) {
      t.ok(annotations.runbook_url.startsWith(prefix), annotations.runbook_url);
      const page = annotations.runbook_url.slice(prefix.length);
      if (t.ok(existsSync(page), page)) t.match(readFileSync(page, 'utf8'), alert);
      t.match(known, alert, 'operations.md lists it');
    }
    t.end();
  });

  void t.test(`the alerts of ${server.name} are valid, and fire and end as they should`, { skip }, (t) => {
    const rules = readRules(server);
    const checked = execFileSync('promtool', ['check', 'rules', server.alerts], { encoding: 'utf8' });
    t.match(checked, `SUCCESS: ${rules.length} rules`);
    const tests = readFileSync(server.alertTests, 'utf8');
    for (const { alert } of rules) {
      t.ok(new RegExp(`alertname: ${alert}\\n(?:.*\\n)*? +exp_alerts:\\n`).test(tests), `${alert} fires in a test`);
      t.ok(new RegExp(`alertname: ${alert},.* exp_alerts: \\[\\]`).test(tests), `${alert} does not fire in a test`);
    }
    const result = spawnSync('promtool', ['test', 'rules', server.alertTests], { encoding: 'utf8' });
    t.equal(result.status, 0, result.stdout + result.stderr);
    t.end();
  });
}

void t.test('each refused exchange is counted with its cause, which the page of the alert explains', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  t.match(
    await readMetrics(issuer),
    'keystone_auth_exchange_refusals_total{cause="rate"} 0',
    'before the first refusal',
  );
  const own = (await postForm(issuer, makeForm(issueToken(keystone)))).body as { access_token: string };
  await postForm(issuer, '');
  await postForm(issuer, makeForm(issueToken(keystone), 'cluster-z'));
  await postForm(issuer, makeForm('junk'));
  await postForm(issuer, makeForm(makeFakeToken()));
  await postForm(issuer, makeForm(own.access_token));
  keystone.answerNext((_request, response) => {
    sendResponse(response, { status: 502, headers: {} });
  }, VALIDATION);
  await postForm(issuer, makeForm(issueToken(keystone)));
  const text = await readMetrics(issuer);
  const causes = [...text.matchAll(/^keystone_auth_exchange_refusals_total\{cause="([^"]+)"\} (\d+)/gm)].map(
    ([, cause = '', count = '']) => [cause, Number(count)] as const,
  );
  t.strictSame(
    causes.filter(([, count]) => count > 0).toSorted(),
    ['audience', 'keystone', 'not-accepted', 'own-token', 'request', 'unrecognized'].map((cause) => [cause, 1]),
  );
  const page = readFileSync('docs/webhook/operations/issuer-refusals.md', 'utf8');
  for (const [cause] of causes) t.match(page, `\`${cause}\``);
  const { keys } = (await issuer.sendRequest({ path: `${new URL(ISSUER_URL).pathname}/jwks` })).body as {
    readonly keys: readonly { readonly kid: string }[];
  };
  t.match(text, `keystone_auth_signing_key_info{kid="${keys[0]?.kid ?? ''}"} 1`);
  const readGauge = (name: string): number => Number(new RegExp(`^keystone_auth_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  const madeAt = issuer.clock.now() / 1_000 - readGauge('signing_key_age_seconds');
  // A new key must wait for 630 seconds before it signs.
  const dueAfter = readGauge('signing_key_rotation_timestamp_seconds') - madeAt;
  t.ok(Math.abs(dueAfter - (720 * 3_600 - 630)) < 1, `due after ${dueAfter} s`);
});
