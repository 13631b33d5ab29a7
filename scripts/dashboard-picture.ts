// Writes docs/webhook/dashboard.svg: the panels of the dashboard, drawn from what a real Prometheus has scraped from a
// webhook that works, loses Keystone for a while, and gets junk. Needs prometheus (Debian's package) and a built webhook.
//
// usage: node scripts/setup.mjs scripts/dashboard-picture.ts

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAccessReview, makeFakeToken } from '../test/support/webhook-client.ts';
import { issueToken, startTestKeystone } from '../test/support/webhook-keystone.ts';
import { startWebhookProcess } from '../test/support/webhook-process.ts';
import type { WebhookProcess } from '../test/support/webhook-process.ts';
import { findFreePort } from './lib/free-port.ts';
import { makeOwner } from './lib/owner.ts';
import { renderPanels } from './lib/panels.ts';
import type { Line, Panel } from './lib/panels.ts';
import { makePki } from './lib/pki.ts';

const SECONDS = 100;
/** When Keystone is down, in seconds after the start. */
const OUTAGE = { from: 50, to: 70 };
const STEP = 2;
/** Instead of the five minutes of the alerts and of Grafana's own interval. */
const WINDOW = '12s';

interface Dashboard {
  readonly panels: readonly {
    readonly type: 'stat' | 'timeseries';
    readonly title: string;
    readonly gridPos: { readonly w: number };
    readonly fieldConfig: { readonly defaults: { readonly unit: string } };
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [time: number, value: string])[];
}

const owner = makeOwner();
const folder = mkdtempSync(join(tmpdir(), 'cka-dashboard-'));

async function askPrometheus(port: number, query: string, start: number, end: number): Promise<readonly Series[]> {
  const parameters = new URLSearchParams({ query, start: String(start), end: String(end), step: String(STEP) });
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/query_range?${parameters.toString()}`);
  const { data } = (await response.json()) as { readonly data?: { readonly result: readonly Series[] } };
  if (data === undefined) throw new Error(`Prometheus refuses ${query}`);
  return data.result;
}

/** Sends reviews like a cluster with a dozen users, some of whom use expired tokens. */
async function sendLoad(client: WebhookProcess): Promise<void> {
  const startedAt = performance.now();
  let wasDown = false;
  let users = Array.from({ length: 12 }, () => issueToken(keystone));
  for (let turn = 0; performance.now() - startedAt < SECONDS * 1_000; turn += 1) {
    const second = (performance.now() - startedAt) / 1_000;
    const isDown = second > OUTAGE.from && second < OUTAGE.to;
    if (isDown && !wasDown) {
      keystone.answerAlways((_request, _response, { resetConnection }) => {
        resetConnection();
      });
    } else if (!isDown && wasDown) keystone.removeHandlers();
    wasDown = isDown;
    // New logins, and tokens that end.
    if (turn % 10 === 0) users = [...users.slice(1), issueToken(keystone)];
    const token = users[turn % users.length] ?? '';
    await client.reviewToken(turn % 9 === 0 ? 'junk' : turn % 13 === 0 ? makeFakeToken() : token);
    await client.isAllowed(makeAccessReview({ namespace: turn % 4 === 0 ? 'db' : 'web' }));
    await sleep(30);
  }
}

const keystone = await startTestKeystone(owner);
const pki = await makePki(folder);
writeFileSync(join(folder, 'policy.json'), JSON.stringify([{ resource_permissions: { 'web/pods': ['get'] } }]));
const webhook = await startWebhookProcess(owner, {
  keystone,
  pki,
  args: ['--keystone-policy-file', join(folder, 'policy.json'), '--cache-ttl', '5'],
});
const port = await findFreePort();
writeFileSync(
  join(folder, 'prometheus.yml'),
  JSON.stringify({
    global: { scrape_interval: '1s' },
    scrape_configs: [
      {
        job_name: 'k8s-keystone-auth',
        scheme: 'https',
        tls_config: { ca_file: pki.ca },
        static_configs: [{ targets: [`127.0.0.1:${webhook.port}`] }],
      },
    ],
  }),
);
const prometheus = spawn(
  'prometheus',
  [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ],
  { stdio: 'ignore' },
);
try {
  await sleep(3_000);
  const start = Date.now() / 1_000;
  await sendLoad(webhook);
  const end = Date.now() / 1_000;
  const { panels } = JSON.parse(readFileSync('packaging/chart/files/dashboard.json', 'utf8')) as Dashboard;
  const drawn: Panel[] = [];
  for (const { type, title, gridPos, fieldConfig, targets } of panels) {
    const lines: Line[] = [];
    for (const { expr, legendFormat } of targets) {
      const query = expr
        .replaceAll('$__rate_interval', WINDOW)
        .replaceAll('[5m]', `[${WINDOW}]`)
        .replaceAll(/"\$(?:job|instance)"/g, '".*"');
      for (const { metric, values } of await askPrometheus(port, query, start, end)) {
        const at = new Map(values.map(([time, value]) => [Math.round((time - start) / STEP), Number(value)]));
        lines.push({
          label: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_all, name: string) => metric[name] ?? ''),
          figures: Array.from({ length: Math.floor(SECONDS / STEP) }, (_, index) => {
            const value = at.get(index);
            return value === undefined || Number.isNaN(value) ? undefined : value;
          }),
        });
      }
    }
    drawn.push({
      title,
      kind: type === 'stat' ? 'figure' : 'lines',
      unit: fieldConfig.defaults.unit,
      lines: lines.filter(
        ({ figures }) => type === 'stat' || figures.some((figure) => figure !== undefined && figure > 0),
      ),
      width: gridPos.w,
    });
  }
  const note =
    `Drawn panels, not Grafana: the queries of the dashboard, answered by Prometheus, over ${SECONDS} seconds. ` +
    `Keystone fails from second ${OUTAGE.from} to ${OUTAGE.to}.`;
  writeFileSync('docs/webhook/dashboard.svg', renderPanels('Keystone webhook', drawn, note));
} finally {
  prometheus.kill('SIGKILL');
  await owner.end();
  rmSync(folder, { recursive: true, force: true });
}
