// Pull requests by worker/forge.c at a double of GitHub that checks each request
// against GitHub's own description.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, beforeEach, test } from 'node:test';
import { startGithubDouble } from '../support/github_double.mjs';
import { PROBE, probe } from '../support/probe.mjs';
import { patience } from '../support/stack.mjs';

const PACE_MS = 998; // a second, less the rounding of two clocks
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
  for (let i = 1; i < writes.length; i++) assert.ok(writes[i] - writes[i - 1] >= PACE_MS, `${writes}`);
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
  assert.ok(second.at - first.at >= 1000 && second.at - first.at < 1000 + 1500 * patience, `${second.at - first.at} ms`);
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

// What GitHub answers once, and what follows: ok (after how long it is tried again), or the end.
const faults = [
  ['401', 'repos/get', { status: 401 }, { kind: 'denied', error: /refuses GITHUB_TOKEN.*~\/\.env/ }],
  ['403', 'pulls/create', { status: 403, message: 'Resource not accessible' }, { kind: 'denied', error: /no right to do it.*scope repo/ }],
  ['403 secondary', 'pulls/list', { status: 403, retryAfter: 1 }, { delay: [1000, 1100], reason: /limits the rate.*secondary rate limit/ }],
  ['403 primary', 'pulls/list', { status: 403, message: 'API rate limit exceeded', reset: 2 }, { delay: [1000, 3300], reason: /limits the rate/ }],
  ['429', 'repos/get', { status: 429, retryAfter: 1, message: 'Too many' }, { delay: [1000, 1100], reason: /limits the rate: Too many/ }],
  ['404', 'pulls/list', { status: 404 }, { kind: 'not_found', error: /no such repository/ }],
  ['409', 'pulls/list', { status: 409 }, { delay: [500, 1000], reason: /a conflict/ }],
  ['422', 'pulls/create', { status: 422, message: 'Validation Failed' }, { kind: 'invalid', error: /refuses it: Validation Failed/ }],
  ['500', 'repos/get', { status: 500 }, { delay: [500, 1000], reason: /not able to answer \(500\)/ }],
  ['502 done', 'pulls/create', { status: 502, after: true }, { delay: [500, 1000], reason: /not able to answer \(502\)/, existed: true }],
  ['503 slow', 'pulls/create', { status: 503, retryAfter: 1 }, { delay: [1000, 1100], reason: /\(503\)/ }],
  ['late', 'pulls/create', { mode: 'hang' }, { delay: [500, 1000], reason: /no answer within 1 s/ }],
  ['late done', 'pulls/create', { mode: 'hang', after: true }, { delay: [500, 1000], reason: /no answer within 1 s/, existed: true }],
  ['cut done', 'pulls/create', { mode: 'drop', after: true }, { delay: [500, 1000], reason: /open the pull request/, existed: true }],
];
test('each fault is classed, told, and waited for as it should be', async (t) => {
  for (const [name, operation, { reset, ...fault }, wanted] of faults) {
    await t.test(name, async () => {
      github.reset();
      github.fault({ operation, ...fault, ...(reset && { headers: {
        'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + reset) } }) });
      const lines = await probe(['pull', REPOSITORY, 'agent-7', 'A title', '', ''],
        { GITHUB_TOKEN: 'ghp_right', GITHUB_API_URL: github.url, HUNDREDX_GITHUB_SECONDS: '1' });
      const result = lines.at(-1);
      if (wanted.kind) {
        assert.equal(result.kind, wanted.kind, result.error);
        assert.match(result.error, wanted.error);
        assert.equal(github.state().pulls.length, 0);
      } else {
        const [told] = lines.filter((l) => l.waiting);
        assert.match(told.waiting, wanted.reason);
        assert.ok(told.delay_ms >= wanted.delay[0] && told.delay_ms <= wanted.delay[1], `${told.delay_ms}`);
        assert.deepEqual([result.ok, result.existed], [true, wanted.existed ?? false]);
        assert.equal(github.state().pulls.length, 1);
      }
      wellFormed();
    });
  }
});

// A server of a few answers, told by path.
async function startFront(answer) {
  const seen = [];
  const server = http.createServer((req, res) => {
    seen.push({ method: req.method, url: req.url, authorization: req.headers.authorization });
    const location = answer(req);
    if (location) {
      res.writeHead(req.method === 'GET' ? 301 : 307, { location }).end();
      return;
    }
    const inner = http.request(`${github.url}${req.url}`, { method: req.method, headers: req.headers }, (got) => {
      res.writeHead(got.statusCode, got.headers);
      got.pipe(res);
    });
    req.pipe(inner);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { seen, url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}

test('redirects: a renamed repository is followed, the token goes nowhere else', async () => {
  const foreign = await startFront(() => null);
  let where = (req) => (req.url.startsWith('/repos/octo/old') ? req.url.replace('/old', '/sample') : null);
  const front = await startFront((req) => where(req));
  try {
    const ask = (name) => probe(['pull', `http://127.0.0.1:1/octo/${name}.git`, `agent-${name}`, 'A title', '', ''],
      { GITHUB_TOKEN: 'ghp_right', GITHUB_API_URL: front.url });
    const renamed = (await ask('old')).at(-1);
    assert.equal(renamed.ok, true, renamed.error);
    assert.equal(renamed.url, 'https://github.com/octo/sample/pull/1');
    assert.ok(front.seen.filter((r) => r.method === 'POST').every((r) => r.url === '/repos/octo/sample/pulls'));
    // To another host: without the token, so it gets nowhere.
    where = (req) => `${foreign.url}${req.url}`;
    const led = (await ask('sample')).at(-1);
    assert.equal(led.ok, false);
    assert.ok(foreign.seen.length > 0 && foreign.seen.every((r) => r.authorization === undefined), JSON.stringify(foreign.seen));
    // In a circle, and to something that is no web address.
    where = (req) => req.url;
    assert.match((await ask('sample')).at(-1).error, /redirects more than 3 times/);
    where = () => 'file:///etc/passwd';
    assert.equal((await ask('sample')).at(-1).ok, false);
    // A write is not sent again elsewhere.
    where = (req) => (req.method === 'POST' ? `${foreign.url}${req.url}` : null);
    foreign.seen.length = 0;
    assert.equal((await ask('write')).at(-1).ok, false);
    assert.deepEqual(foreign.seen, []);
  } finally {
    await Promise.all([front.stop(), foreign.stop()]);
  }
});

test('many at once keep a second between writes, and wait together when nothing is left', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), '100x-pace-'));
  const env = { GITHUB_TOKEN: 'ghp_right', GITHUB_API_URL: github.url, PROBE_PACE: path.join(dir, 'github.pace') };
  try {
    const all = await Promise.all([1, 2, 3, 4].map((n) => probe(['pull', REPOSITORY, `agent-${n}`, 'T', n % 2 ? 'bug' : '', ''], env)));
    for (const lines of all) assert.equal(lines.at(-1).ok, true);
    const writes = github.requests.filter((r) => r.method === 'POST').map((r) => r.at);
    assert.equal(writes.length, 6);
    for (let i = 1; i < writes.length; i++) assert.ok(writes[i] - writes[i - 1] >= PACE_MS, `${writes}`);
    // One is told that nothing is left; nobody asks before the time is over.
    const reset = Math.floor(Date.now() / 1000) + 4;
    github.fault({ operation: 'repos/get', status: 403, message: 'API rate limit exceeded',
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) } });
    const at = github.requests.length;
    const later = await Promise.all([5, 6, 7].map((n) => probe(['pull', REPOSITORY, `agent-${n}`, 'T', '', ''], env)));
    for (const lines of later) assert.equal(lines.at(-1).ok, true);
    const since = github.requests.slice(at);
    const refused = since.find((r) => r.fault);
    const early = since.filter((r) => r !== refused && r.at > refused.at + 150 && r.at < refused.at + 1900);
    assert.deepEqual(early.map((r) => r.path), []);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('one pull request for each of 1,000 agents, whatever fails and whoever is killed', { timeout: 300000 }, async () => {
  let seed = Number(process.env.SEED ?? Date.now() % 1e9);
  console.log(`# seed ${seed}`);
  const random = (n) => { // mulberry32
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
  const ways = [
    (id) => ({ status: 502, after: id === 'pulls/create' && random(2) === 1 }),
    (id) => ({ mode: 'drop', after: id === 'pulls/create' && random(2) === 1 }),
    (id) => ({ mode: 'hang', after: id === 'pulls/create' && random(2) === 1 }),
    () => ({ status: 403, retryAfter: 0 }),
    () => ({ status: 409 }),
  ];
  github.chaos = (id) => (random(8) === 0 ? ways[random(ways.length)](id) : null);
  const env = { PATH: process.env.PATH, GITHUB_TOKEN: 'ghp_right', GITHUB_API_URL: github.url, HUNDREDX_GITHUB_SECONDS: '1' };
  let kills = 0;
  // The same agents again until nobody was killed: as a worker does after its end.
  async function crowd(from, to) {
    for (let round = 0; ; round++) {
      const child = spawn(PROBE, ['pulls', REPOSITORY, 'many-', String(from), String(to)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
      const results = [];
      let left = round < 4 ? random(to - from) : Infinity;
      createInterface({ input: child.stdout }).on('line', (line) => {
        results.push(JSON.parse(line));
        if (left-- <= 0) child.kill('SIGKILL');
      });
      const [code, signal] = await once(child, 'close');
      if (signal === 'SIGKILL') {
        kills++;
        continue;
      }
      assert.equal(code, 0);
      for (const r of results) assert.equal(r.ok, true, r.error);
      assert.equal(results.length, to - from);
      return;
    }
  }
  await Promise.all(Array.from({ length: 10 }, (_, i) => crowd(i * 100, i * 100 + 100)));
  const { pulls } = github.state();
  assert.equal(pulls.length, 1000);
  assert.equal(new Set(pulls.map((p) => p.head)).size, 1000);
  assert.ok(kills >= 20, `${kills} kills`);
  console.log(`# ${kills} kills, ${github.requests.length} requests`);
});
