// Handing in where the remote does not want it: a branch that is taken, hooks that say no, a
// server that is away. The agent ends well and says what happened.
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeRepository, startStack, support } from '../support/stack.mjs';
import { git, seedRepository, startGitHttp } from '../support/git_server.mjs';
import { startGithubDouble } from '../support/github_double.mjs';

const token = 'ghp_token_of_the_handing_in_test';
const script = (text) => ({ turns: [{ steps: [{ write: { path: 'hello.txt', text } }, { commit: `Say ${text}` }] }] });
let root, server, github;
let stacks = [];

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), '100x-handing-in-'));
  server = await startGitHttp({ token, root });
});

afterEach(async () => {
  for (const stack of stacks) assert.deepEqual(await stack.stop(), []);
  stacks = [];
});

after(async () => {
  await Promise.all([server?.stop(), github?.stop()]);
  await rm(root, { recursive: true, force: true });
});

async function installation(text, env = {}) {
  const stack = await startStack({ env: { GITHUB_TOKEN: token, HUNDREDX_TOKEN_HOST: '127.0.0.1', ...env } });
  stacks.push(stack);
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(script(text))] } });
  return stack;
}

async function create(stack, repository, params = {}) {
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'Say hello' }], manager: false, ...params });
  return tasks[0].agents[0];
}

const steps = async (stack, agent) => (await stack.events(agent, ['finish'])).map((e) => e.body);
const troubles = async (stack, agent) => (await stack.events(agent, ['trouble'])).map((e) => e.body);

test('two installations on one repository: each hands in, nothing is overwritten', async () => {
  const bare = seedRepository(root, 'octo/shared');
  const repository = `${server.url}/octo/shared.git`;
  github = await startGithubDouble({ token, repositories: { 'octo/shared': { defaultBranch: 'main' } } });
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((text) => installation(text, { GITHUB_API_URL: github.url })));
  assert.equal(await create(one, repository), 1);
  assert.equal((await one.untilState(1, 'done')).reason, '');
  const tip = git(bare, 'rev-parse', 'agent-1');
  for (const [stack, branch, text] of [[two, 'agent-1-2', 'two'], [three, 'agent-1-3', 'three']]) {
    assert.equal(await create(stack, repository), 1);
    const { reason } = await stack.untilState(1, 'done');
    assert.equal(reason, `pushed as ${branch}: the repository has another branch agent-1`);
    assert.equal(git(bare, 'show', `${branch}:hello.txt`), text);
    assert.ok((await troubles(stack, 1)).some((t) => t.what === 'push' && t.hint === `the branch is pushed as ${branch}`));
    const pushed = (await steps(stack, 1)).find((s) => s.step === 'push' && s.status === 'done');
    assert.equal(pushed.branch, branch);
    const [{ body: pull }] = await stack.events(1, ['pull_request']);
    assert.equal(pull.branch, branch);
  }
  assert.equal(git(bare, 'rev-parse', 'agent-1'), tip);
  assert.deepEqual(github.state().pulls.map((p) => p.head), ['agent-1', 'agent-1-2', 'agent-1-3']);
});

test('a hook that says no is the reason, with and without a pull request; a retry hands in', async () => {
  const bare = seedRepository(root, 'octo/guarded');
  const hook = path.join(bare, 'hooks/update');
  await writeFile(hook, '#!/bin/sh\necho only on Mondays >&2\nexit 1\n');
  await chmod(hook, 0o755);
  const stack = await installation('hello');
  const agent = await create(stack, `${server.url}/octo/guarded.git`, { pull_request: false });
  const { reason } = await stack.untilState(agent, 'done');
  assert.match(reason, /the branch agent-1 stays in the workspace: .*refused by the remote: hook declined/);
  assert.ok((await steps(stack, agent)).some((s) => s.step === 'push' && s.status === 'skipped' && /hook declined/.test(s.reason)));
  await rm(hook);
  const after = (await stack.ask('status')).last_event;
  await stack.ask('agent.retry', { agent });
  await stack.until((e) => e.kind === 'state' && e.body.state === 'done', 'the end', 30000, { agent, after });
  assert.equal(git(bare, 'show', 'agent-1:hello.txt'), 'hello');
  assert.equal((await stack.ask('agent.show', { agent })).reason, '');
  assert.equal((await stack.events(agent, ['turn'])).filter((e) => e.body.phase === 'started').length, 1, 'no work is done again');
});

test('a local repository with a working tree: the branch stays, and that is said', async () => {
  const stack = await installation('hello');
  const agent = await create(stack, await makeRepository(stack.dir));
  const { reason } = await stack.untilState(agent, 'done');
  assert.match(reason, /the branch agent-1 stays in the workspace: .*working tree of its own/);
});

// Passes everything on to the git server, except what `fault` takes.
async function startProxy(fault) {
  const proxy = http.createServer((req, res) => {
    if (fault(req, res)) return;
    const inner = http.request({ host: '127.0.0.1', port: server.port, method: req.method, path: req.url, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    inner.once('error', () => res.destroy());
    req.pipe(inner);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return { url: `http://127.0.0.1:${proxy.address().port}`, stop: () => new Promise((resolve) => { proxy.close(resolve); proxy.closeAllConnections(); }) };
}

// One row: what the server does to one request, and what is said then.
const passing = [
  ['closed', (req) => req.socket.destroy(), /./],
  ['busy', (_, res) => res.writeHead(503).end('busy'), /503/],
  ['cut', (_, res) => {
    res.writeHead(200, { 'content-type': 'text/plain', 'content-length': '1000' }).write('0008NAK\n', () => res.destroy());
  }, /./],
];
// The supervisor looks at the repository first (two requests: it is asked for credentials);
// the fault is for the worker.
for (const [phase, wanted, nth, what, state] of [['fetch', /git-upload-pack/, 3, 'repository', 'starting'], ['push', /git-receive-pack/, 1, 'push', 'finishing']]) {
  test(`${phase}: what passes is tried again by itself, with the reason shown meanwhile`, async () => {
    let act, count = 0;
    const proxy = await startProxy((req, res) => {
      if (!wanted.test(req.url) || ++count !== nth) return false;
      req.resume();
      act(req, res);
      return true;
    });
    try {
      const stack = await installation('hello');
      for (const [name, does, words] of passing) {
        const bare = seedRepository(root, `octo/${phase}-${name}`);
        act = does;
        count = 0;
        const agent = await create(stack, `${proxy.url}/octo/${phase}-${name}.git`, { pull_request: false });
        await stack.untilState(agent, 'done');
        assert.equal(git(bare, 'show', `agent-${agent}:hello.txt`), 'hello');
        const told = (await troubles(stack, agent)).filter((t) => t.what === what);
        assert.equal(told.length, 1, `${name}: ${JSON.stringify(told)}`);
        assert.ok(told[0].retry_in_ms >= 1000 && told[0].retry_in_ms <= 2000, String(told[0].retry_in_ms));
        assert.match(told[0].reason, words);
        const states = (await stack.events(agent, ['state'])).map((e) => `${e.body.state}: ${e.body.reason}`);
        assert.ok(states.some((s) => s.startsWith(`${state}: trying again in 2 s: ${phase}`)), states.join('\n'));
        assert.equal(states.at(-1), 'done: ');
      }
    } finally {
      await proxy.stop();
    }
  });
}
