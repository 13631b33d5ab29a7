/**
 * Checks the columns of two versions of Rust Keystone in the table of docs/auth/kubernetes.md against the recorded
 * answers. The column of the published version is checked at that server, by test/rust-keystone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkTableColumn, WEBHOOK_ROW } from '../support/rust-keystone-table.ts';

interface Exchange {
  readonly label: string;
  readonly request: string;
  readonly verdict: string;
}

/** The recorded exchange that shows what a cell says: its label, and what its request contains. */
type Evidence = readonly [label: string, request?: string];

const COLUMNS: Readonly<Record<string, { heading: string; evidence: Readonly<Record<string, Evidence>> }>> = {
  june: {
    heading: 'Rust a1f2ffd2',
    evidence: {
      'a password, on a project': ['old-password', '/v3/auth/tokens'],
      'a token, exchanged for a project': ['oldjwt-ci-web'],
      v4k8s: ['old-k8s-web'],
      [`v4k8s ${WEBHOOK_ROW}`]: ['old-whoami-db', '/v3/auth/tokens'],
      v4jwt: ['oldjwt-ci', '/jwt'],
      v4federation: ['oldfed-plain', '/callback'],
      whoami: ['old-whoami-db', '/v3/auth/tokens'],
    },
  },
  august: {
    heading: 'Rust 34d5fb9d',
    evidence: {
      'a password, on a project': ['v3-pw-project-name'],
      'a password, on the system': ['p-admin-system'],
      'a token, exchanged for a project': ['v3-token-rescope-db'],
      '--unscoped': ['v3-pw-unscoped-string'],
      'an application credential': ['v3-appcred'],
      'a trust': ['v3-pw-trust'],
      v4k8s: ['k8s-builder'],
      [`v4k8s ${WEBHOOK_ROW}`]: ['own-main-builder-first-validate-admin'],
      v4jwt: ['jwt2-ci-web'],
      [`v4jwt ${WEBHOOK_ROW}`]: ['jwt2-ci-web-whoami', '/v3/auth/tokens'],
      v4federation: ['fed-web', '/callback'],
      whoami: ['cmd-whoami-admin', 'GET /v3/auth/tokens'],
      projects: ['v3-auth-projects'],
      domains: ['own-main-builder-first-domains'],
      catalog: ['v3-validate-self-catalog'],
      'logout revokes the token': ['v3-revoke-self'],
    },
  },
};

const SUCCESS = /^(?:a token|a list|revoked)/;

for (const [version, { heading, evidence }] of Object.entries(COLUMNS)) {
  void t.test(`the table says what the recorded answers of ${version} show`, async (t) => {
    const file = join(import.meta.dirname, `../fixtures/rust-keystone/${version}.json`);
    const exchanges = JSON.parse(readFileSync(file, 'utf8')) as Exchange[];
    const shown = Object.entries(evidence).map(([row, [label, part = '']]) => {
      const exchange = exchanges.find((one) => one.label === label && one.request.includes(part));
      return [row, SUCCESS.test(exchange?.verdict ?? '')] as const;
    });
    checkTableColumn(t, heading, new Map(shown));
  });
}
