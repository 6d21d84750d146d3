// `agent_command` puts any other ACP agent in aider's place: here the example agent of the
// protocol's own SDK.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { makeRepository, root, startStack } from '../support/stack.mjs';

const example = path.join(root, 'tests/node_modules/@agentclientprotocol/sdk/dist/examples/agent.js');
let stack, repository;

before(async () => {
  // The flag gives Node 18 the global `crypto` that the example uses.
  stack = await startStack({ agentCommand: [process.execPath, '--experimental-global-webcrypto', example] });
  repository = await makeRepository(stack.dir);
});

after(async () => {
  assert.deepEqual(await stack.stop(), []);
});

const said = async (agent) => (await stack.events(agent, ['output']))
  .filter((e) => e.body.stream === 'agent').map((e) => e.body.text).join('');

test('the example agent of the SDK works a turn; what leaves the workspace is refused', async () => {
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'look around' }], manager: false });
  const [agent] = tasks[0].agents;
  await stack.untilState(agent, 'done');
  const tools = await stack.events(agent, ['tool']);
  assert.ok(tools.some((e) => e.body.title === 'Reading project files'));
  const [answer] = (await stack.events(agent, ['permission'])).filter((e) => e.body.status === 'answered');
  assert.equal(answer.body.by, 'policy');
  assert.equal(answer.body.option, 'reject', 'its file is outside the workspace');
  assert.match(await said(agent), /understand you prefer not/);
});

test('in ask mode a person allows it', async () => {
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'look around' }], manager: false, permission: 'ask' });
  const [agent] = tasks[0].agents;
  const asked = await stack.until((e) => e.kind === 'permission' && e.body.status === 'asked' && e.body, 'the question', 60000, { agent });
  assert.deepEqual(asked.options.map((o) => o.id).sort(), ['allow', 'reject']);
  await stack.ask('agent.permission', { agent, permission: asked.id, option: 'allow' });
  await stack.untilState(agent, 'done');
  assert.match(await said(agent), /successfully updated|Perfect/);
});
