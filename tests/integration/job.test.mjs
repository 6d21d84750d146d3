// The main job on real aider: two tasks, two agents each, steered by their managers, on the
// sample project, with the practice model behind both.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { coderOf } from '../support/processes.mjs';
import { git, root, run, sampleRepository, startPracticeModel, startStack } from '../support/stack.mjs';

let stack, model, repository, tasks;

before(async () => {
  model = await startPracticeModel();
  stack = await startStack({ practice: model.port });
  repository = await sampleRepository(stack.dir);
  tasks = JSON.parse(await readFile(path.join(root, 'tests/support/sample.json'), 'utf8'));
});

after(async () => {
  const left = await stack.stop();
  await model.stop();
  assert.deepEqual(left, []);
});

test('four agents finish with green tests, each on its own branch', async () => {
  const agents = [];
  for (const { title, description, test_command } of tasks) {
    const { tasks: [made] } = await stack.ask('task.create',
      { repository, tasks: [{ title, description }], test_command, agents_per_task: 2 });
    agents.push(...made.agents.map((agent) => ({ agent, test_command })));
  }
  assert.equal(agents.length, 4);
  for (const { agent } of agents) await stack.untilState(agent, 'done', 180000);
  for (const { agent, test_command } of agents) {
    const row = await stack.ask('agent.show', { agent });
    assert.equal(row.tests, 'passed');
    assert.ok(row.added > 0 && row.turn >= 2, `agent ${agent}`);
    assert.ok(row.tokens_in > 0 && row.tokens_out > 0);
    for (const word of ['progress', 'thought', 'action', 'future']) assert.ok(row[word], word);
    const workspace = path.join(stack.stateDir, 'workspaces', String(agent), 'repo');
    assert.equal(await git(workspace, 'rev-parse', '--abbrev-ref', 'HEAD'), `agent-${agent}`);
    assert.equal(await git(workspace, 'status', '--porcelain'), '', 'all is committed');
    const green = await run('/bin/sh', ['-c', test_command], { cwd: workspace });
    assert.equal(green.code, 0, green.stderr);
    const events = await stack.events(agent);
    const kinds = new Set(events.map((e) => e.kind));
    for (const kind of ['decision', 'turn', 'output', 'tool', 'commit', 'usage', 'diff', 'test', 'finish']) assert.ok(kinds.has(kind), kind);
    assert.ok(events.some((e) => e.kind === 'tool' && e.body.diffs?.length), 'an edit is shown as a diff');
    assert.deepEqual(new Set(events.filter((e) => e.kind === 'usage').map((e) => e.body.role)), new Set(['agent', 'aider']));
  }
});

test('the key is in no event, no file of an agent and no command line', async () => {
  const key = stack.env.OPENAI_API_KEY;
  const found = await run('grep', ['-rlF', '--', key, stack.stateDir]);
  assert.equal(found.stdout, '');
});

test('a killed aider is started again and the conversation goes on', async () => {
  const [{ title, description, test_command }] = tasks;
  const { tasks: [made] } = await stack.ask('task.create', { repository, tasks: [{ title, description }], test_command });
  const [agent] = made.agents;
  await stack.until((e) => e.kind === 'turn' && e.body.phase === 'started', 'the first turn', 60000, { agent });
  const { pid } = await stack.ask('agent.show', { agent });
  process.kill(coderOf(pid), 'SIGKILL');
  await stack.untilState(agent, 'done', 180000);
  assert.equal((await stack.ask('agent.show', { agent })).tests, 'passed');
});
