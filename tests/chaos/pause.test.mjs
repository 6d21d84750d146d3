// An agent that is paused while its pull request is being opened, and goes on before GitHub
// has answered, waits for that answer: one pull request, and not none.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { checkAfterwards } from './check.mjs';
import { World } from './world.mjs';

test('a pause while the pull request is opened', async () => {
  const world = await World.start({ webui: false, turnMs: 30 });
  try {
    await world.up();
    world.shared.github.fault({ operation: 'pulls/create', status: 502, retryAfter: 2, times: 1 });
    const [agent] = await world.create(1);
    await world.stack.until((e) => e.kind === 'finish' && e.body.step === 'pull_request' && e.body.status === 'started', 'the pull request', 60000);
    while (!world.shared.github.requests.some((request) => request.operation === 'pulls/create')) await new Promise((resolve) => setTimeout(resolve, 5));
    await world.stack.ask('agent.pause', { agent });
    await world.stack.untilState(agent, 'paused', 20000);
    await world.stack.ask('agent.resume', { agent });
    const rows = await world.settle(60000);
    assert.deepEqual(rows.map((row) => [row.state, row.reason]), [['done', '']]);
    assert.equal(world.pulls.length, 1);
    assert.match(rows[0].pull_request, /\/pull\/1$/);
    await world.down();
    assert.deepEqual([...world.problems, ...checkAfterwards(world)], []);
  } finally {
    await world.close();
  }
});
