// What a person was told is done holds over the death of whoever was to do it: who was told
// to stop begins no turn any more, in no worker.
import { afterEach, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deadline, makeRepository, patience, startStack, support } from '../support/stack.mjs';

let stack, repository;

beforeEach(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
});

afterEach(async () => {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
});

const show = (agent) => stack.ask('agent.show', { agent });

// An agent in its first turn, whose worker hears and sees nothing: { agent, worker, at: the
// store's last event }.
async function deafAgent() {
  const turn = { steps: [{ text: 'started\n' }, { silence_ms: 600000 }] };
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify({ turns: [turn, turn, turn] }),
    '--memory', path.join(stack.dir, 'memory')] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'go' }], manager: false });
  const [agent] = tasks[0].agents;
  await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), 'the first turn', 30000, { agent });
  const worker = (await show(agent)).pid;
  process.kill(worker, 'SIGSTOP');
  return { agent, worker, at: (await stack.ask('status')).last_event };
}

async function endSupervisor() {
  stack.supervisor.kill('SIGKILL');
  await deadline(stack.supervisor.ended, 10000 * patience, 'the supervisor to die');
}

async function begun(agent, after) {
  const { events } = await stack.ask('events.after', { after, agent, limit: 1000, kinds: ['turn', 'worker'] });
  return events.map((e) => ({ kind: e.kind, ...(typeof e.body === 'string' ? JSON.parse(e.body) : e.body) })).filter((b) => b.phase === 'started').map((b) => b.kind);
}

test('told to stop; supervisor and worker die before the worker knows', async () => {
  const { agent, worker, at } = await deafAgent();
  // As a git that dies in the middle of a commit leaves them.
  const left = ['index.lock', 'objects/tmp_objdir-bulk-fsync-x/0a/5273'].map((name) => path.join(stack.stateDir, 'workspaces', String(agent), 'repo/.git', name));
  for (const file of left) {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, '');
  }
  await stack.ask('agent.stop', { agent });
  process.kill(stack.supervisor.pid, 'SIGSTOP'); // or it would see the worker die
  process.kill(worker, 'SIGKILL');
  await endSupervisor();
  await stack.startSupervisor();
  await stack.untilState(agent, 'stopped');
  const row = await show(agent);
  assert.deepEqual([row.state, row.reason], ['stopped', 'stopped by a person']);
  assert.deepEqual(await begun(agent, at), []);
  assert.deepEqual([left[0], path.dirname(path.dirname(left[1]))].filter(existsSync), [], 'nobody else would tidy up');
  // It goes on when it is told to, and not to a stop of before.
  const again = (await stack.ask('status')).last_event;
  await stack.ask('agent.retry', { agent });
  await stack.until((e) => e.kind === 'turn' && e.body.phase === 'started', 'the next turn', 30000, { agent, after: again });
  await stack.ask('agent.stop', { agent });
  await stack.until((e) => e.kind === 'state' && e.body.state === 'stopped', 'to be stopped again', 30000, { agent, after: again });
});

test('told to stop; the supervisor dies, the next one finds the worker, which dies too', async () => {
  const { agent, worker, at } = await deafAgent();
  await stack.ask('agent.stop', { agent });
  await endSupervisor();
  await stack.startSupervisor();
  assert.equal((await show(agent)).pid, worker, 'adopted');
  process.kill(worker, 'SIGKILL');
  await stack.untilState(agent, 'stopped');
  assert.deepEqual(await begun(agent, at), []);
});

test('told to stop; the supervisor dies, and the worker it finds never listens: it is ended', async () => {
  const { agent, at } = await deafAgent();
  await stack.ask('agent.stop', { agent });
  await endSupervisor();
  await stack.startSupervisor();
  await stack.untilState(agent, 'stopped', 40000); // 10 s until TERM, which it takes when it goes on
  assert.deepEqual(await begun(agent, at), []);
});

test('told to pause; its worker dies: the next one pauses before it begins anything', async () => {
  const { agent, worker, at } = await deafAgent();
  await stack.ask('agent.pause', { agent });
  process.kill(worker, 'SIGKILL');
  await stack.untilState(agent, 'paused');
  assert.deepEqual(await begun(agent, at), ['worker']);
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
});
