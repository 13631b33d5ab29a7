// The metrics, and what is made of them: alerts and a dashboard. Runs against the stand-in Keystone.

import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import t from 'tap';
import { PROJECT } from '../../scripts/lib/project.ts';
import { REFUSAL_CAUSES } from '../../src/webhook/review/review.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview, makeFakeToken } from '../support/webhook-client.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const ALERTS = 'packaging/chart/files/alerts.yaml';
const DASHBOARD = 'packaging/chart/files/dashboard.json';
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

const { groups } = load(readFileSync(ALERTS, 'utf8')) as { readonly groups: readonly { readonly rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

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

void t.test('the metrics follow the naming rules of Prometheus', { skip }, async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone });
  await webhook.reviewToken(issueToken(keystone));
  await webhook.isAllowed(makeAccessReview());
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await readMetrics(webhook),
    encoding: 'utf8',
  });
  t.strictSame({ status, output: stdout + stderr }, { status: 0, output: '' });
});

void t.test('each metric that the alerts and the dashboard use exists', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone });
  await webhook.reviewToken(issueToken(keystone));
  await webhook.isAllowed(makeAccessReview());
  const series = listSeries(await readMetrics(webhook));
  const { panels, templating } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
    readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
    readonly templating: { readonly list: readonly { readonly query: string | { readonly query: string } }[] };
  };
  const queries = [
    ...rules.map(({ expr }) => expr),
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

void t.test('each alert has a page that says what to do, and is named there', (t) => {
  const prefix = `${PROJECT.repositoryUrl}/blob/main/`;
  const known = readFileSync('docs/webhook/operations.md', 'utf8');
  for (const { alert, annotations } of rules) {
    t.ok(annotations.runbook_url.startsWith(prefix), annotations.runbook_url);
    const page = annotations.runbook_url.slice(prefix.length);
    if (t.ok(existsSync(page), page)) t.match(readFileSync(page, 'utf8'), alert);
    t.match(known, alert, 'operations.md lists it');
  }
  t.end();
});

void t.test('the alerts are valid, and fire and end as they should', { skip }, (t) => {
  t.match(execFileSync('promtool', ['check', 'rules', ALERTS], { encoding: 'utf8' }), `SUCCESS: ${rules.length} rules`);
  const tests = readFileSync('test/webhook/alerts.promtool.yaml', 'utf8');
  for (const { alert } of rules) {
    t.ok(new RegExp(`alertname: ${alert}\\n(?:.*\\n)*? +exp_alerts:\\n`).test(tests), `${alert} fires in a test`);
    t.ok(new RegExp(`alertname: ${alert},.* exp_alerts: \\[\\]`).test(tests), `${alert} does not fire in a test`);
  }
  const result = spawnSync('promtool', ['test', 'rules', 'test/webhook/alerts.promtool.yaml'], { encoding: 'utf8' });
  t.equal(result.status, 0, result.stdout + result.stderr);
  t.end();
});
