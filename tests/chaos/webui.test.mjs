// The page is dead for as long as one likes: nobody else notices, and a browser that comes
// back with its last id gets everything that was said meanwhile, once. What a minute of ten
// busy agents says is said here in a few seconds, and more than the page keeps in memory
// (HUB_RING), so that it must come from the store. In two halves, since it is also more than
// waits for a listener that is slow (BUS_QUEUE).
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { deadline, patience, root } from '../support/stack.mjs';
import { Browser, checkBrowser } from './browser.mjs';
import { check, checkAfterwards } from './check.mjs';
import { World } from './world.mjs';

const RING = Number(/#define HUB_RING (\d+)/.exec(readFileSync(path.join(root, 'webui/hub.h'), 'utf8'))[1]);
const HALVES = 2;
const AGENTS = 5; // in each

test('a browser misses nothing of the time in which the page was dead', async (t) => {
  const rounds = Math.ceil(RING / (HALVES * AGENTS) / 50) + 1;
  const steps = [];
  for (let i = 0; i < rounds; i++) for (let k = 0; k < 50; k++) steps.push({ thought: `thought ${i}.${k}\n` }, { text: `line ${i}.${k}\n` });
  const world = await World.start({ maxWorking: AGENTS, script: { turns: [
    { steps: [{ text: 'started\n' }, { silence_ms: 300 }, { write: { path: 'first.txt', text: 'first\n' } }, { commit: 'First' }] },
    { steps: [...steps, { write: { path: 'second.txt', text: 'second\n' } }, { commit: 'Second' }] }] } });
  let browser;
  try {
    await world.up();
    await world.webuiAnswers();
    browser = new Browser(world.port, path.join(world.stack.stateDir, 'webui.token'));
    const agents = await world.create(AGENTS);
    const started = new Set();
    await world.stack.until((e) => e.kind === 'output' && started.add(e.subject).size === AGENTS, 'all to start', 60000);
    world.withoutWebui = true;
    const before = browser.last;
    const { webui } = world.stack;
    world.kill('webui', webui.pid);
    await webui.ended;
    await world.settle(120000);
    await deadline(world.listener.reaches((await world.stack.ask('status')).last_event), 20000 * patience, 'the listener to have the first half');
    agents.push(...await world.create(AGENTS));
    const rows = await world.settle(120000);
    assert.deepEqual(rows.map((row) => [row.id, row.state, row.epoch, row.turn]), agents.map((id) => [id, 'done', 1, 2]), 'the agents notice nothing');
    assert.ok(browser.last < before + RING, 'the browser saw nothing meanwhile');
    const { problems, events } = await check(world);
    t.diagnostic(`${events.at(-1).id - browser.last} events while the page was dead`);
    assert.ok(events.at(-1).id - browser.last > RING, 'more than the page keeps');
    world.startWebui();
    await deadline(browser.reaches(events.at(-1).id), 30000 * patience, 'the browser to have everything');
    assert.equal(browser.streams, 2);
    checkBrowser(browser, events, new Set(), problems);
    browser.stop();
    await world.down();
    assert.deepEqual([...problems, ...world.problems, ...checkAfterwards(world)], []);
  } finally {
    browser?.stop();
    await world.close();
  }
});
