// Pull requests by worker/forge.c at a double of GitHub that checks each request
// against GitHub's own description.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startGithubDouble } from '../support/github_double.mjs';
import { probe } from '../support/probe.mjs';

const REPOSITORY = 'http://127.0.0.1:1/octo/sample.git';
let github;

before(async () => {
  github = await startGithubDouble({
    token: 'ghp_right',
    repositories: { 'octo/sample': { defaultBranch: 'trunk', collaborators: ['bob', 'amy'] } },
  });
});
after(() => github.stop());
beforeEach(() => github.reset());

function pull({ token = 'ghp_right', branch = 'agent-7', title = 'A title', labels = '',
  reviewers = '', url = REPOSITORY } = {}) {
  return probe(['pull', url, branch, title, labels, reviewers],
    { GITHUB_TOKEN: token, GITHUB_API_URL: github.url });
}

function wellFormed() {
  assert.deepEqual(github.state().violations, []);
}

test('opens one against the default branch, with labels and those reviewers who may', async () => {
  const lines = await pull({ labels: 'bug,good first issue', reviewers: 'bob,eve,octo-agent,a/b' });
  assert.deepEqual(lines.slice(0, 3).map((l) => [l.step, l.status]),
    [['pull_request', 'done'], ['labels', 'done'], ['reviewers', 'done']]);
  assert.deepEqual(lines[3], {
    ok: true, url: 'https://github.com/octo/sample/pull/1', number: 1, title: 'A title',
    base: 'trunk', existed: false,
  });
  const [made] = github.state().pulls;
  assert.deepEqual(made.labels, ['bug', 'good first issue']);
  assert.deepEqual(made.reviewers, ['bob']);
  const writes = github.requests.filter((r) => r.method === 'POST').map((r) => r.at);
  for (let i = 1; i < writes.length; i++) assert.ok(writes[i] - writes[i - 1] >= 980, `${writes}`);
  wellFormed();
});

test('trying again finds it', async () => {
  await pull();
  const lines = await pull();
  assert.equal(lines.at(-1).existed, true);
  assert.equal(lines.at(-1).number, 1);
  assert.equal(github.state().pulls.length, 1);
  wellFormed();
});

test('names a refused token, a missing repository, missing rights', async () => {
  const [, refused] = await pull({ token: 'ghp_wrong' });
  assert.equal(refused.kind, 'denied');
  assert.match(refused.error, /GITHUB_TOKEN/);
  assert.doesNotMatch(refused.error, /ghp_wrong/);
  const [, missing] = await pull({ url: 'http://127.0.0.1:1/octo/none.git' });
  assert.equal(missing.kind, 'not_found');
  github.fault({ operation: 'pulls/create', status: 403, message: 'Resource not accessible' });
  const [, rights] = await pull();
  assert.equal(rights.kind, 'denied');
  assert.match(rights.error, /its scopes: repo/);
  assert.equal(github.state().pulls.length, 0);
  wellFormed();
});

test('waits as the secondary limit asks', async () => {
  github.fault({ operation: 'pulls/create', status: 403, retryAfter: 1 });
  const lines = await pull();
  assert.equal(lines.at(-1).ok, true);
  const [first, second] = github.requests.filter((r) => r.operation === 'pulls/create');
  assert.ok(second.at - first.at >= 1000 && second.at - first.at < 2500);
  wellFormed();
});

for (const mode of ['drop', 503]) {
  test(`opened in spite of the answer (${mode}): not opened twice`, async () => {
    github.fault({ operation: 'pulls/create', after: true,
      ...(mode === 'drop' ? { mode } : { status: mode }) });
    const lines = await pull();
    assert.equal(lines.at(-1).ok, true);
    assert.equal(lines.at(-1).existed, true);
    assert.equal(github.state().pulls.length, 1);
    assert.equal(github.requests.filter((r) => r.operation === 'pulls/create').length, 1);
    wellFormed();
  });
}

test('422 already exists leads to the one that exists', async () => {
  github.fault({ operation: 'pulls/create', after: true, status: 422,
    message: 'Validation Failed: A pull request already exists for octo:agent-7.' });
  const lines = await pull();
  assert.equal(lines.at(-1).ok, true);
  assert.equal(lines.at(-1).existed, true);
  assert.equal(github.state().pulls.length, 1);
});

test('422 for another reason ends it with the reason', async () => {
  const [step, result] = await pull({ branch: 'trunk' });
  assert.equal(step.status, 'failed');
  assert.equal(result.kind, 'invalid');
  assert.match(result.error, /No commits between/);
});

test('server errors and conflicts pass', async () => {
  github.fault({ operation: 'repos/get', status: 502 }, { operation: 'pulls/list', status: 409 });
  const lines = await pull();
  assert.equal(lines.at(-1).ok, true);
  assert.equal(github.state().pulls.length, 1);
});

test('labels and reviewers that fail do not fail the pull request', async () => {
  github.fault({ operation: 'issues/add-labels', status: 404 },
    { operation: 'pulls/request-reviewers', status: 422 });
  const lines = await pull({ labels: 'bug', reviewers: 'bob' });
  assert.deepEqual(lines.slice(0, 3).map((l) => [l.step, l.status]),
    [['pull_request', 'done'], ['labels', 'failed'], ['reviewers', 'failed']]);
  assert.equal(lines[3].ok, true);
});

test('reviewers of whom none may are skipped', async () => {
  const lines = await pull({ reviewers: 'eve' });
  assert.deepEqual([lines[1].step, lines[1].status], ['reviewers', 'skipped']);
  assert.equal(lines.at(-1).ok, true);
});

test('odd branch and title arrive as they are', async () => {
  const lines = await pull({ branch: 'agent-7/ü&x=1', title: 'é'.repeat(400) });
  assert.equal(lines.at(-1).ok, true);
  const [made] = github.state().pulls;
  assert.equal(made.head, 'agent-7/ü&x=1');
  assert.equal(made.title, 'é'.repeat(256));
  assert.equal((await pull({ branch: 'agent-7/ü&x=1' })).at(-1).existed, true);
  wellFormed();
});
