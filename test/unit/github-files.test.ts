/** The workflows and forms of GitHub: pinned, with few permissions, and safe from texts that others write. */
import { readdirSync, readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import t from 'tap';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly 'timeout-minutes'?: number;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const WORKFLOWS = '.github/workflows';
const FORMS = '.github/ISSUE_TEMPLATE';

for (const name of readdirSync(WORKFLOWS)) {
  void t.test(`${name} is pinned, has few permissions and runs no text that others write`, async (t) => {
    const text = readFileSync(`${WORKFLOWS}/${name}`, 'utf8');
    const workflow = load(text) as Workflow;
    t.strictSame(workflow.permissions, {}, 'a job has only the permissions that it names');
    t.notOk('pull_request_target' in workflow.on, 'no pull request gets secrets');
    for (const [job, { permissions, steps, 'timeout-minutes': timeout }] of Object.entries(workflow.jobs)) {
      t.type(permissions, 'object', `${job} names its permissions`);
      t.type(timeout, 'number', `${job} ends`);
      for (const { run, uses, with: inputs } of steps) {
        t.notMatch(run ?? '', /\$\{\{/, `${job}: values reach scripts as variables, not as text`);
        if (uses?.startsWith('actions/checkout@') === true)
          t.equal(inputs?.['persist-credentials'], false, `${job}: scripts do not get the token of the checkout`);
      }
    }
    for (const [line] of text.matchAll(/^.*\buses:.*$/gm))
      t.match(
        line,
        /uses: [\w-]+\/[\w./-]+@[0-9a-f]{40} # (?:v\d+\.\d+\.\d+|\w+ of \d{4}-\d\d-\d\d)$/,
        'an action is pinned by its commit',
      );
  });
}

void t.test('the workflow of a release uploads and attests what npm run release checked', async (t) => {
  const { jobs } = load(readFileSync(`${WORKFLOWS}/release.yml`, 'utf8')) as Workflow;
  const { build, publish } = jobs;
  t.ok(
    build?.steps.some(({ run }) => run?.includes('release -- --from-tag')),
    'it builds with npm run release',
  );
  t.strictSame(build?.permissions, { contents: 'read' }, 'the job that runs code of others can sign nothing');
  t.notOk(
    build?.steps.some(({ uses }) => uses?.startsWith('actions/cache@')),
    'it takes nothing from a cache',
  );
  const attested = publish?.steps.findIndex(
    ({ with: inputs }) => inputs?.['subject-checksums'] === 'release/SHA256SUMS',
  );
  const uploaded = publish?.steps.findIndex(({ run }) => run?.includes('gh release create'));
  t.ok(attested !== undefined && attested >= 0, 'it attests every file');
  t.ok(uploaded !== undefined && attested !== undefined && uploaded > attested, 'it uploads only what it attested');
});

void t.test('the forms ask for what a maintainer needs', async (t) => {
  const forms = readdirSync(FORMS).filter((name) => name !== 'config.yml');
  t.ok(forms.length >= 2);
  for (const name of forms) {
    const form = load(readFileSync(`${FORMS}/${name}`, 'utf8')) as {
      name: string;
      description: string;
      body: { type: string; id?: string; attributes: { label?: string } }[];
    };
    t.type(form.name, 'string');
    t.type(form.description, 'string');
    for (const { type, id, attributes } of form.body) {
      if (type === 'markdown') continue;
      t.match(id, /^[a-z-]+$/, 'a field has an ID');
      t.type(attributes.label, 'string', 'a field has a label');
    }
  }
  const config = load(readFileSync(`${FORMS}/config.yml`, 'utf8')) as {
    blank_issues_enabled: boolean;
    contact_links: { url: string }[];
  };
  t.equal(config.blank_issues_enabled, false);
  t.match(config.contact_links[0]?.url, /\/security\/advisories\/new$/, 'vulnerabilities are reported in private');
});
