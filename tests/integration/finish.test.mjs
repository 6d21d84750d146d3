// Handing in: a real smart-HTTP git server, and a double of GitHub that checks each request
// against GitHub's own description.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { patience, run, startPracticeModel, startStack, support } from '../support/stack.mjs';
import { git, seedRepository, startGitHttp } from '../support/git_server.mjs';
import { startGithubDouble } from '../support/github_double.mjs';

const token = 'ghp_token_of_the_finish_test';
let root, server, github, stack, model;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), '100x-finish-'));
  server = await startGitHttp({ token, root });
  github = await startGithubDouble({ token, repositories: { 'octo/sample': { defaultBranch: 'main', collaborators: ['amy'] } } });
  model = await startPracticeModel();
  stack = await startStack({ practice: model.port, env: {
    GITHUB_TOKEN: token, GITHUB_API_URL: github.url, HUNDREDX_TOKEN_HOST: '127.0.0.1' } });
  seedRepository(root, 'octo/sample');
  const script = { turns: [{ steps: [{ write: { path: 'hello.txt', text: 'hello\n' } }, { commit: 'Say hello' }] }] };
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
});

after(async () => {
  const left = await stack.stop();
  await Promise.all([server.stop(), github.stop(), model.stop()]);
  await rm(root, { recursive: true, force: true });
  assert.deepEqual(left, []);
});

async function create(params = {}) {
  const { tasks } = await stack.ask('task.create', { repository: `${server.url}/octo/sample.git`, tasks: [{ title: 'Say hello' }], manager: false, ...params });
  return tasks[0].agents[0];
}

test('push and pull request, once, with everything told', async () => {
  const agent = await create();
  await stack.untilState(agent, 'done');
  const row = await stack.ask('agent.show', { agent });
  assert.match(row.pull_request ?? '', /\/octo\/sample\/pull\/\d+$/);
  assert.equal(git(path.join(root, 'octo/sample.git'), 'log', '-1', '--format=%s', `agent-${agent}`), 'Say hello');
  const steps = (await stack.events(agent, ['finish'])).map((e) => `${e.body.step} ${e.body.status}`);
  for (const step of ['push done', 'pull_request done']) assert.ok(steps.includes(step), `${step} in ${steps}`);
  // Trying again by hand neither pushes nor opens anything twice.
  assert.equal((await stack.events(agent, ['pull_request'])).length, 1);
});

test('the token is nowhere it could leak', async () => {
  const { stdout } = await run('grep', ['-rlF', '--', token, stack.stateDir]);
  assert.equal(stdout, '');
});

test('a refused token is told; a person retries without redoing the work', async () => {
  github.fault({ operation: '*', times: 20, status: 401 });
  const agent = await create();
  const state = await stack.untilState(agent, ['done', 'failed', 'paused', 'waiting']);
  const failed = (await stack.events(agent, ['finish'])).filter((e) => e.body.status === 'failed').map((e) => e.body);
  assert.ok(failed.length > 0 && /GITHUB_TOKEN|401/.test(failed[0].reason), JSON.stringify([state, failed]));
  github.faults.length = 0;
  const since = (await stack.ask('status')).last_event;
  await stack.ask(['paused', 'waiting'].includes(state.state) ? 'agent.resume' : 'agent.retry', { agent });
  await stack.until((e) => e.kind === 'pull_request' && e.body, 'the pull request', 60000, { agent, after: since });
  const turns = (await stack.events(agent, ['turn'])).filter((e) => e.body.phase === 'started');
  assert.equal(turns.length, 1, 'the work was not done again');
});

test('without pull requests the branch is pushed and the agent is done', async () => {
  const agent = await create({ pull_request: false });
  await stack.untilState(agent, 'done');
  const row = await stack.ask('agent.show', { agent });
  assert.equal(row.pull_request, null);
});

test('what is picked gets its pull request, though the task wanted none', async () => {
  const { tasks } = await stack.ask('task.create', { repository: `${server.url}/octo/sample.git`, tasks: [{ title: 'Say hello twice' }], manager: false,
    pull_request: false, agents_per_task: 2 });
  const [{ id: task, agents: [first, second] }] = tasks;
  for (const agent of [first, second]) await stack.untilState(agent, 'done');
  const since = (await stack.ask('status')).last_event;
  assert.deepEqual(await stack.ask('task.pick', { task, agent: second }), { winner: second, archived: [first], stopped: [], opens_pull_request: true });
  await stack.until((e) => e.kind === 'pull_request' && e.subject === second, 'the pull request', 60000, { after: since });
  await stack.until((e) => e.kind === 'state' && e.subject === second && e.body.state === 'done', 'done', 60000, { after: since });
  assert.equal((await stack.ask('task.pick', { task, agent: second })).opens_pull_request, false);
  assert.equal((await stack.events(second, ['turn'])).filter((e) => e.body.phase === 'started').length, 1, 'the work was not done again');
  assert.equal((await stack.ask('agent.show', { agent: first })).archived, true);
});

// Two agents of a task that wants no pull request, in their first turn; release() lets it end.
async function rivals(title) {
  const go = path.join(stack.dir, `go.${title}`);
  const before = (await stack.ask('config.get')).general.agent_command;
  const turn = { steps: [{ text: 'started\n' }, { run: `until test -e '${go}'; do sleep 0.05; done` }, { write: { path: 'hello.txt', text: 'hello\n' } }, { commit: title }] };
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify({ turns: [turn] })] } });
  const { tasks } = await stack.ask('task.create', { repository: `${server.url}/octo/sample.git`, tasks: [{ title }], manager: false, pull_request: false, agents_per_task: 2 });
  const [{ id: task, agents }] = tasks;
  for (const agent of agents) {
    await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the turn', 30000, { agent });
  }
  await stack.ask('config.set', { general: { agent_command: before } });
  return { task, agents, release: () => writeFile(go, '') };
}

test('what is picked while it works gets its pull request when it is done', async () => {
  const { task, agents: [first, second], release } = await rivals('picked at work');
  assert.deepEqual(await stack.ask('task.pick', { task, agent: second }), { winner: second, archived: [], stopped: [first], opens_pull_request: true });
  await release();
  await stack.untilState(second, 'done');
  assert.match((await stack.ask('agent.show', { agent: second })).pull_request ?? '', /\/pull\/\d+$/);
  assert.deepEqual((await stack.events(second, ['state'])).filter((e) => e.body.state === 'done').length, 1);
  await stack.untilState(first, 'stopped');
});

test('a pick taken back while it works: no pull request', async () => {
  const { task, agents: [, second], release } = await rivals('taken back');
  await stack.ask('task.pick', { task, agent: second });
  await stack.ask('task.unpick', { task });
  await release();
  await stack.untilState(second, 'done');
  assert.equal((await stack.ask('agent.show', { agent: second })).pull_request, null);
});

test('picked, and the worker ends before it hears of it: it finishes anew', async () => {
  const { task, agents: [, second], release } = await rivals('heard too late');
  const { pid } = await stack.ask('agent.show', { agent: second });
  const { last_event: since } = await stack.ask('status');
  process.kill(stack.supervisor.pid, 'SIGSTOP'); // what the worker says lies in its spool
  await release();
  const spool = path.join(stack.stateDir, 'workspaces', String(second), 'spool/events');
  for (const end = Date.now() + 20000 * patience; !readFileSync(spool, 'latin1').includes('"state":"done"');) {
    assert.ok(Date.now() < end, 'the worker to be done');
    await sleep(20);
  }
  process.kill(pid, 'SIGSTOP');
  process.kill(stack.supervisor.pid, 'SIGCONT');
  await stack.ask('task.pick', { task, agent: second });
  process.kill(pid, 'SIGCONT');
  await stack.until((e) => e.kind === 'pull_request' && e.subject === second, 'the pull request', 60000, { after: since });
  await stack.until((e) => e.kind === 'state' && e.subject === second && e.body.state === 'done', 'done', 60000, { after: since });
});

test('wrong credentials are told before anything is made', async () => {
  const other = await startStack({ env: { GITHUB_TOKEN: 'ghp_wrong_token_here', HUNDREDX_TOKEN_HOST: '127.0.0.1' } });
  try {
    await assert.rejects(other.ask('task.create', { repository: `${server.url}/octo/sample.git`, tasks: [{ title: 'x' }], manager: false }),
      (error) => error.kind === 'denied' && /GITHUB_TOKEN/.test(error.message) && !error.message.includes('ghp_wrong'));
    assert.deepEqual((await other.ask('task.list')).tasks, []);
  } finally {
    assert.deepEqual(await other.stop(), []);
  }
});
