// The life of agents, with real processes and a scripted ACP agent.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { alive, outerPid } from '../support/processes.mjs';
import { git, makeRepository, startStack, support } from '../support/stack.mjs';

let stack, repository;

before(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
});

after(async () => {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
});

// The script goes into the agent command, so each test sets its own before it creates.
async function create(script, options = {}, extra = []) {
  const { memory, ...params } = options;
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(script), ...extra] } });
  const { tasks } = await stack.ask('task.create', {
    repository, tasks: [{ title: 'change it', description: 'Write hello.' }], manager: false, ...params,
  });
  return tasks.flatMap((t) => t.agents);
}

const show = (agent) => stack.ask('agent.show', { agent });
const edit = { write: { path: 'hello.txt', text: 'hello\n' } };
const done = { turns: [{ steps: [{ text: 'Writing.\n' }, edit, { commit: 'Say hello' }] }] };
const busy = { turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 600000 }] }] };
const workspace = (agent) => path.join(stack.stateDir, 'workspaces', String(agent), 'repo');

function started(agent, turn = 1) {
  return stack.until((e) => e.kind === 'output' && e.body.text.includes('started') && e.body.turn >= turn && e.body,
    `agent ${agent} to be in turn ${turn}`, 30000, { agent });
}

test('an agent does its task and ends with a branch', async () => {
  const [agent] = await create(done);
  await stack.untilState(agent, 'done');
  const row = await show(agent);
  assert.equal(row.state, 'done');
  assert.equal(row.branch, `agent-${agent}`);
  assert.equal(row.added, 1);
  assert.equal(await git(workspace(agent), 'log', '-1', '--format=%s', `agent-${agent}`), 'Say hello');
  const kinds = (await stack.events(agent)).map((e) => e.kind);
  for (const kind of ['created', 'state', 'turn', 'output', 'commit', 'diff', 'finish']) assert.ok(kinds.includes(kind), kind);
});

test('uncommitted work is committed at the end', async () => {
  const [agent] = await create({ turns: [{ steps: [edit] }] });
  await stack.untilState(agent, 'done');
  assert.equal(await readFile(path.join(workspace(agent), 'hello.txt'), 'utf8'), 'hello\n');
  assert.equal(await git(workspace(agent), 'status', '--porcelain'), '');
  assert.equal(await git(workspace(agent), 'rev-list', '--count', `main..agent-${agent}`).catch(() =>
    git(workspace(agent), 'rev-list', '--count', `origin/main..agent-${agent}`)), '1');
});

test('several agents on several tasks, each in a workspace of its own', async () => {
  const agents = await create(done, { tasks: [{ title: 'a' }, { title: 'b' }], agents_per_task: 2 });
  assert.equal(new Set(agents).size, 4);
  for (const agent of agents) await stack.untilState(agent, 'done');
  for (const agent of agents) assert.ok(existsSync(path.join(workspace(agent), 'hello.txt')));
});

test('no more agents work at once than the limit; the rest wait in order', async () => {
  await stack.ask('config.set', { general: { max_working: 2 } });
  const agents = await create(busy, { agents_per_task: 4 });
  await started(agents[0]);
  await started(agents[1]);
  const { agents: rows } = await stack.ask('agent.list');
  assert.deepEqual(agents.map((id) => rows.find((r) => r.id === id).state === 'queued'), [false, false, true, true]);
  await stack.ask('agent.stop', { agent: agents[0] });
  await started(agents[2]);
  for (const agent of agents.slice(1)) await stack.ask('agent.stop', { agent });
  for (const agent of agents) await stack.untilState(agent, 'stopped');
  await stack.ask('config.set', { general: { max_working: 8 } });
});

test('interrupt ends the turn; a message makes the next one', async () => {
  const [agent] = await create({ turns: [
    { steps: [{ text: 'started\n' }, { silence_ms: 600000 }] },
    { match: 'write it', steps: [edit] },
  ] });
  await started(agent);
  await stack.ask('agent.tell', { agent, text: 'now write it' });
  await stack.ask('agent.interrupt', { agent });
  await stack.until((e) => e.kind === 'turn' && e.body.phase === 'ended' && e.body.stop_reason === 'cancelled', 'the turn to be cancelled', 30000, { agent });
  await stack.untilState(agent, 'done');
  const turns = (await stack.events(agent, ['turn'])).filter((e) => e.body.phase === 'started');
  assert.equal(turns.length, 2);
  assert.match(turns[1].body.prompt, /now write it/);
});

test('a message while it works goes into the next turn', async () => {
  const [agent] = await create({ turns: [
    { steps: [{ text: 'started\n' }, { silence_ms: 500 }] },
    { match: 'and be polite', steps: [edit] },
  ] });
  await started(agent);
  await stack.ask('agent.tell', { agent, text: 'and be polite' });
  await stack.untilState(agent, 'done');
  assert.ok(existsSync(path.join(workspace(agent), 'hello.txt')));
});

test('pause keeps the agent, resume lets it go on', async () => {
  const [agent] = await create({ turns: [
    { steps: [{ text: 'started\n' }, { silence_ms: 600000 }] },
    { steps: [edit] },
  ] });
  await started(agent);
  await stack.ask('agent.pause', { agent });
  await stack.untilState(agent, 'paused');
  assert.equal((await show(agent)).state, 'paused');
  assert.ok((await show(agent)).pid, 'its worker is alive');
  await stack.ask('agent.resume', { agent });
  await stack.untilState(agent, 'done');
});

test('stop ends every process below the worker, also a daemon of the agent', async () => {
  const pidFile = path.join(stack.dir, 'daemon.pid');
  const [agent] = await create({ turns: [{ steps: [{ daemon: { seconds: 600, pid_file: pidFile } }, { text: 'started\n' }, { silence_ms: 600000 }] }] });
  await started(agent);
  const worker = (await show(agent)).pid;
  const daemon = outerPid(worker, Number(await readFile(pidFile, 'utf8')));
  assert.ok(alive(daemon));
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
  await stack.until(() => !existsSync(`/proc/${worker}`), 'the worker to end', 1).catch(() => {});
  assert.equal((await show(agent)).state, 'stopped');
  assert.ok(!alive(daemon), 'the daemon is gone');
});

test('retry goes on from where a stopped agent was', async () => {
  const memory = path.join(stack.dir, 'retry.memory');
  const [agent] = await create({ load_session: true, turns: [
    { steps: [{ text: 'started\n' }, { silence_ms: 600000 }] }, { steps: [edit] },
  ] }, {}, ['--memory', memory]);
  await started(agent);
  await stack.ask('agent.stop', { agent });
  const { turn } = await stack.untilState(agent, 'stopped');
  const last = (await stack.ask('status')).last_event;
  await stack.ask('agent.retry', { agent });
  await stack.until((e) => e.kind === 'state' && e.body.state === 'done', 'done', 30000, { agent, after: last });
  assert.ok((await show(agent)).turn > (turn ?? 0));
});

test('delete removes workspace and rows', async () => {
  const [agent] = await create(busy);
  await started(agent);
  await stack.ask('agent.delete', { agent });
  await assert.rejects(show(agent), { kind: 'not_found' });
  assert.ok(!existsSync(path.join(stack.stateDir, 'workspaces', String(agent))));
  const left = await stack.events();
  assert.ok(!left.some((e) => e.subject === agent && e.stream === 'agent' && e.kind === 'output'));
});

test('asking twice with one id does it once', async () => {
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(done)] } });
  const params = { repository, tasks: [{ title: 'once' }], manager: false };
  const id = 'a'.repeat(32);
  const [first, second] = await Promise.all([stack.ask('task.create', params, id), stack.ask('task.create', params, id)]);
  assert.deepEqual(first, second);
  assert.deepEqual(await stack.ask('task.create', params, id), first);
  const { tasks } = await stack.ask('task.list');
  assert.equal(tasks.filter((t) => t.title === 'once').length, 1);
  await stack.untilState(first.tasks[0].agents[0], 'done');
});

test('a permission question waits for a person in ask mode', async () => {
  const options = [{ id: 'yes', name: 'Allow', kind: 'allow_once' }, { id: 'no', name: 'Reject', kind: 'reject_once' }];
  const script = { turns: [{ steps: [{ permission: { title: 'Create hello.txt?', kind: 'edit', options, allowed: [edit], rejected: [] } }] }] };
  const [agent] = await create(script, { permission: 'ask' });
  const asked = await stack.until((e) => e.kind === 'permission' && e.body.status === 'asked' && e.body, 'the question', 30000, { agent });
  const { reason } = await stack.untilState(agent, 'waiting');
  assert.equal(reason, `asks: Create hello.txt? (permission ${asked.id}: yes no)`);
  const refused = async (permission, option, kind, words) => await assert.rejects(stack.ask('agent.permission', { agent, permission, option }),
    (error) => error.kind === kind && words.test(error.message));
  await refused(asked.id, 'perhaps', 'invalid', /"perhaps" was not offered.*yes, no/);
  await refused('7-7', 'yes', 'not_found', /asks for no permission 7-7/);
  const typed = await stack.ctl('permit', String(agent), asked.id, 'yess');
  assert.notEqual(typed.code, 0);
  assert.match(typed.stderr, /"yess" was not offered/);
  await stack.ask('agent.permission', { agent, permission: asked.id, option: 'yes' });
  await stack.until((e) => e.kind === 'permission' && e.body.status === 'answered', 'the answer to be taken', 30000, { agent });
  await refused(asked.id, 'no', 'conflict', /not open any more|is done|has ended/);
  await stack.untilState(agent, 'done');
  assert.ok(existsSync(path.join(workspace(agent), 'hello.txt')));
  const [allowed] = await create(script, { permission: 'allow' });
  await stack.untilState(allowed, 'done');
  const answers = (await stack.events(allowed, ['permission'])).filter((e) => e.body.status === 'answered');
  assert.deepEqual(answers.map((e) => [e.body.by, e.body.option]), [['policy', 'yes']]);
});

test('an answer to a question of a crashed agent does not fit the next question', async () => {
  const options = [{ id: 'yes', name: 'Allow', kind: 'allow_once' }, { id: 'no', name: 'Reject', kind: 'reject_once' }];
  const [agent] = await create({ turns: [{ steps: [{ permission: { title: 'Go on?', kind: 'edit', options, allowed: [{ exit: 3 }], rejected: [] } }] }] },
    { permission: 'ask' });
  const asked = (after) => stack.until((e) => e.kind === 'permission' && e.body.status === 'asked' && e, 'a question', 30000, { agent, after });
  const first = await asked(0);
  await stack.ask('agent.permission', { agent, permission: first.body.id, option: 'yes' });
  const second = await asked(first.id);
  assert.notEqual(second.body.id, first.body.id);
  await stack.ask('agent.permission', { agent, permission: second.body.id, option: 'no' });
  await stack.untilState(agent, 'done');
});

test('failing tests go back as a turn', async () => {
  const [agent] = await create({ turns: [{ steps: [{ text: 'nothing\n' }] }, { steps: [edit] }] }, { test_command: 'test -f hello.txt' });
  await stack.untilState(agent, 'done');
  const tests = (await stack.events(agent, ['test'])).map((e) => e.body.passed);
  assert.deepEqual(tests.slice(0, 2), [false, true]);
  assert.equal((await show(agent)).tests, 'passed');
});

test('the turn limit pauses', async () => {
  const [agent] = await create({ turns: [{ steps: [{ text: 'nothing\n' }] }] }, { test_command: 'false', limits: { turns: 2 } });
  const { reason } = await stack.untilState(agent, 'paused');
  assert.match(reason, /turn limit|2 turns/i);
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
});

test('usage is summed exactly', async () => {
  const usage = (n) => ({ usage: { model: 'openai/x', tokens_in: 100 * n, tokens_out: 10 * n, tokens_cached: n, dollars: 0.25 * n } });
  const [agent] = await create({ turns: [{ steps: [usage(1), usage(2), edit] }] });
  await stack.untilState(agent, 'done');
  const row = await show(agent);
  assert.deepEqual([row.tokens_in, row.tokens_out, row.dollars], [300, 30, 0.75]);
});

test('an agent that crashes is restarted; one that always crashes fails alone', async () => {
  const [good] = await create({ turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 600000 }] }] });
  await started(good);
  const [bad] = await create({ turns: [{ steps: [{ exit: 3 }] }] });
  const { reason } = await stack.untilState(bad, ['failed', 'waiting', 'paused'], 90000);
  assert.match(reason, /crash|ended|exit/i);
  assert.equal((await show(good)).state, 'working');
  for (const agent of [good, bad]) if (!['failed', 'stopped'].includes((await show(agent)).state)) await stack.ask('agent.stop', { agent });
  await stack.untilState(good, 'stopped');
});
