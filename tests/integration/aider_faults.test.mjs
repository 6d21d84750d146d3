// The same faults of a provider, met by aider in its own questions: real aider with LiteLLM in
// the worker. What it says of them decides what becomes of the agent.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, makeRepository, startPracticeModel, startStack } from '../support/stack.mjs';

const error = (message, code) => ({ error: { message, type: 'error', code: code ?? 'code' } });
const held = (low, high, reason) => ({ state: 'working', reason, delay: [low, high] });
// name, what the provider does, the agent's state and reason, and when it is tried again;
// arguments for aider.
const rows = [
  ['401', { status: 401, ...error('Incorrect API key') }, { state: 'paused', reason: /Incorrect API key/ }],
  ['402', { status: 402, ...error('Insufficient credits') }, { state: 'paused', reason: /Insufficient credits/ }],
  ['404', { status: 404, ...error('no such model') }, { state: 'paused', reason: /no such model/ }],
  ['429-seconds', { status: 429, retry_after: '77', ...error('slow down') }, held(77000, 84700, /^trying again in \d+ s: .*slow down/)],
  ['429-date', { status: 429, retry_after_date: 90, ...error('slow down') }, held(60000, 99000, /^trying again in \d+ s: .*slow down/)],
  ['500', { status: 500, ...error('broken') }, held(10000, 20000, /^trying again in \d+ s: .*broken/)],
  ['context', { status: 400, ...error("This model's maximum context length is 8 tokens") }, { state: 'waiting', reason: /context length/ }],
  ['hang', { fault: 'hang' }, held(10000, 20000, /^trying again in \d+ s: .*[Tt]imed? ?out/), '--timeout 1'],
  ['cut', { fault: 'error_mid_stream', times: 1 }, { state: 'done', reason: /nothing was changed/ }],
];
let stack, model, folder, repository;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), '100x-aider-faults-'));
  const script = path.join(folder, 'model.json');
  await writeFile(script, JSON.stringify({ strict: true, rules: [
    ...rows.map(([name, rule]) => ({ ...rule, model: `row-${name}.` })), { answer: 'All is well.' }] }));
  model = await startPracticeModel({ script });
  stack = await startStack({ practice: model.port, env: { DEEPSEEK_API_KEY: 'k', DEEPSEEK_API_BASE: `http://127.0.0.1:${await freePort()}/v1` } });
  repository = await makeRepository(stack.dir);
  await stack.ask('config.set', { general: { max_working: 3 } });
});

after(async () => {
  const left = await stack?.stop();
  await model?.stop();
  await rm(folder, { recursive: true, force: true });
  assert.deepEqual(left, []);
});

async function judge(agent, wanted) {
  await stack.until((e) => e.kind === 'state' && e.body.state === wanted.state && wanted.reason.test(e.body.reason),
    `${wanted.state}: ${wanted.reason}`, 120000, { agent });
  if (!wanted.delay) return;
  const { retry_in_ms: delay } = await stack.until((e) => e.kind === 'trouble' && e.body.what === 'turn' && e.body, 'the trouble', 30000, { agent });
  assert.ok(delay >= wanted.delay[0] - 100 && delay <= wanted.delay[1], `${delay} ms`);
}

test('each fault is classed, told, and waited for as it should be', { timeout: 400000 }, async (t) => {
  const all = [...rows.map(([name, , wanted, extra]) => [name, `openai/row-${name}.`, wanted, extra]),
    ['refused', 'deepseek/none', held(10000, 20000, /^trying again in \d+ s: /)]];
  for (const [name, aider, wanted, extra] of all) {
    if (process.env.ONLY && name !== process.env.ONLY) continue;
    await t.test(name, async () => {
      const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: name, description: 'Look around.' }],
        manager: false, ...(extra && { aider_arguments: extra }), models: { aider, agent: 'openai/practice' } });
      const [agent] = tasks[0].agents;
      await judge(agent, wanted);
      assert.ok(!JSON.stringify(await stack.events(agent)).includes('practice-key-of-the-test'));
      if (wanted.state !== 'done') await stack.ask('agent.stop', { agent });
    });
  }
});
