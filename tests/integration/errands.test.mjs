// Errands wait for each other only where they are alike: a model that never answers delays
// nobody who asks it nothing.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadline, makeRepository, patience, startPracticeModel, startStack, support } from '../support/stack.mjs';

const AT_ONCE = 4; // supervisor/errand.h
let root, model, stack;

before(async () => {
  root = mkdtempSync(path.join(tmpdir(), '100x-errands-'));
  const script = path.join(root, 'model.json');
  await writeFile(script, JSON.stringify({ rules: [{ fault: 'hang' }] }));
  model = await startPracticeModel({ script });
  stack = await startStack({ practice: model.port, agentCommand: [support('scripted_agent'), '-e', JSON.stringify({ turns: [{ steps: [{ text: 'done\n' }] }] })] });
});

after(async () => {
  await stack.stop();
  assert.deepEqual(await stack.survivors(), [], 'processes left behind');
  await model.stop();
  rmSync(root, { recursive: true, force: true });
});

function errands(kind) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
      return words.includes('--errand') && words[words.indexOf('--errand') + 1] === kind && words.some((word) => word.includes(stack.dir));
    } catch {
      return false;
    }
  }).length;
}

async function untilAll(kind) {
  for (const end = Date.now() + 20000 * patience; errands(kind) < AT_ONCE;) {
    assert.ok(Date.now() < end, `${kind}: ${errands(kind)} errands`);
    await sleep(20);
  }
}

test('a model that never answers delays neither tasks nor what else is asked', async () => {
  const repository = await makeRepository(stack.dir);
  const hanging = [];
  for (let i = 0; i <= AT_ONCE; i++) {
    hanging.push(stack.ask('goal.split', { repository, goal: `goal ${i}` }).catch((error) => error));
    hanging.push(stack.ask('model.test', { model: 'openai/practice' }).catch((error) => error));
  }
  await untilAll('split');
  await untilAll('model');
  const soon = (method, params) => deadline(stack.ask(method, params), 10000 * patience, method);
  const { tasks } = await soon('task.create', { repository, tasks: [{ title: 'go' }], manager: false });
  const [agent] = tasks[0].agents;
  assert.deepEqual((await soon('repository.check', { repository })).default, 'main');
  assert.ok((await soon('key.list')).keys);
  await soon('health');
  await stack.untilState(agent, 'done');
  await soon('agent.delete', { agent });
  assert.equal(errands('split'), AT_ONCE, 'no more of them than so many at once');
  assert.equal(errands('model'), AT_ONCE);
});
