// The board under load, with figures: 500 agents at 20 updates a second, and states shown
// in time over 1,000 transitions.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeRepository, patience, startStack, support } from '../support/stack.mjs';
import { openBrowser } from './browser.mjs';

const AGENTS = 500;
const TALKING = 8;
const WINDOW_MS = 4000;
const TRANSITIONS = 1000;
let stack, browser, page;

// Each of them speaks five times in two seconds: 20 updates a second of all together.
const TALK = Array.from({ length: 2000 }, (_, i) => [{ text: `line ${i} of what it does\n` }, { silence_ms: 400 }]).flat();

before(async () => {
  stack = await startStack();
  const repository = await makeRepository(stack.dir);
  const script = path.join(stack.dir, 'script.json');
  await writeFile(script, JSON.stringify({ turns: [{ steps: TALK }] }));
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '--script', script], max_working: TALKING } });
  const working = [];
  for (let made = 0; made < AGENTS; made += 100) {
    const { tasks } = await stack.ask('task.create', { repository, manager: false, agents_per_task: 100, tasks: [{ title: `Load ${made}` }] });
    working.push(...tasks[0].agents);
  }
  for (const agent of working.slice(0, TALKING)) await stack.untilState(agent, 'working', 60000);
  await stack.startWebui();
  browser = await openBrowser();
  const context = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 1360, height: 900 } });
  context.setDefaultTimeout(20000 * patience);
  page = await context.newPage();
  await page.goto(`http://localhost:${stack.port}/sign-in?token=${stack.token}`);
  await page.locator('.row-working').first().waitFor();
});

after(async () => {
  await browser?.close();
  assert.deepEqual(await stack?.stop(), [], 'processes left behind');
});

test('500 agents, 20 updates a second: no task over 50 ms', async (t) => {
  assert.equal(await page.evaluate(() => document.querySelectorAll('[data-ids]').length >= 25), true, 'all are in the list');
  assert.ok((await page.locator('.row').count()) < 150, 'what is far away is not drawn');
  const measure = () => page.evaluate(async (ms) => {
    const long = [];
    let frames = 0;
    let changes = 0;
    const tasks = new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => Math.round(entry.duration))));
    tasks.observe({ entryTypes: ['longtask'] });
    const seen = new MutationObserver((all) => (changes += all.length));
    seen.observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true, attributes: true });
    const end = performance.now() + ms;
    await new Promise((resolve) => {
      const step = () => {
        frames++;
        window.scrollTo(0, (Math.sin(frames / 20) + 1) * 2000);
        if (performance.now() < end) requestAnimationFrame(step);
        else resolve();
      };
      requestAnimationFrame(step);
    });
    tasks.disconnect();
    seen.disconnect();
    window.scrollTo(0, 0);
    return { long, fps: Math.round((1000 * frames) / ms), changes };
  }, WINDOW_MS);
  // Another program may take the processor for a while: one window without a long task
  // shows that the page needs none.
  let best;
  for (let i = 0; i < 5 && !(best?.long.length === 0); i++) {
    const now = await measure();
    if (!best || now.long.length < best.long.length) best = now;
    t.diagnostic(`long tasks: ${now.long.join(', ') || 'none'} ms; ${now.fps} frames/s, ${now.changes} changes while scrolling`);
  }
  assert.ok(best.changes > 20, 'the board lives meanwhile');
  assert.deepEqual(best.long, []);
});

test('the palette over 500 agents: a key takes less than a frame or two', async (t) => {
  await page.keyboard.press('Control+k');
  await page.locator('.palette').waitFor();
  const times = [];
  for (const key of 'load 400 #4') {
    times.push(await page.evaluate(async (letter) => {
      const input = document.querySelector('.palette-input');
      const began = performance.now();
      input.value += letter;
      input.dispatchEvent(new InputEvent('input', { bubbles: true }));
      // Preact draws in a microtask; a message comes after those.
      await new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = resolve;
        port2.postMessage(0);
      });
      return performance.now() - began;
    }, key));
  }
  times.sort((a, b) => a - b);
  const middle = times[Math.floor(times.length / 2)];
  t.diagnostic(`a key: p50 ${middle.toFixed(1)} ms, most ${times.at(-1).toFixed(1)} ms`);
  assert.ok(middle < 16, `${middle} ms`);
  await page.keyboard.press('Escape');
});

test('states are right in time: 1,000 transitions', async (t) => {
  // Else the paused ones are far below, where nothing is drawn.
  await page.getByRole('region', { name: 'Queued', exact: true }).getByRole('button', { name: /Queued/ }).click();
  await page.evaluate(() => {
    window.shown = [];
    const look = () => {
      const at = Date.now();
      for (const row of document.querySelectorAll('.row')) {
        const state = row.querySelector('[data-state]').dataset.state;
        if (look[row.dataset.agent] === state) continue;
        look[row.dataset.agent] = state;
        window.shown.push([Number(row.dataset.agent), state, at]);
      }
    };
    look();
    new MutationObserver(look).observe(document.querySelector('.board'), { subtree: true, childList: true, attributes: true });
  });
  const ids = await page.locator('.row-working').evaluateAll((rows) => rows.map((one) => Number(one.dataset.agent)));
  const began = (await stack.ask('status')).last_event;
  // Paused and resumed at random, through the page's own requests.
  await page.evaluate(async ([agents, count]) => {
    const paused = new Set();
    for (let i = 0; i < count; i++) {
      const id = agents[Math.floor(Math.random() * agents.length)];
      const verb = paused.delete(id) ? 'resume' : 'pause';
      if (verb === 'pause') paused.add(id);
      await fetch(`/api/v1/agents/${id}/${verb}`, {
        method: 'POST', headers: { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID().replaceAll('-', '') }, body: '{}' });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }, [ids, TRANSITIONS]);
  const events = [];
  for (let after_ = began; ;) {
    const { events: some, last } = await stack.ask('events.after', { after: after_, limit: 1000, kinds: ['state'] });
    if (last === after_ || (!some.length && last >= (await stack.ask('status')).last_event)) break;
    events.push(...some.map((event) => ({ ...event, body: typeof event.body === 'string' ? JSON.parse(event.body) : event.body })));
    after_ = last;
  }
  await page.waitForTimeout(500);
  const shown = await page.evaluate(() => window.shown);
  const late = [];
  for (const id of ids) {
    const told = events.filter((event) => event.stream === 'agent' && event.subject === id);
    const seen = shown.filter(([agent]) => agent === id);
    // What is drawn in one frame shows only the last of several: a state counts as shown
    // when it or a later one is.
    let at = 0;
    told.forEach((event, i) => {
      while (at < seen.length && seen[at][2] < event.body.at - 1) at++;
      const first = seen.slice(at).find(([, state]) => told.slice(i).some((later) => later.body.state === state));
      if (first) late.push(Math.max(0, first[2] - event.body.at));
    });
    assert.equal(seen.at(-1)?.[1], told.at(-1)?.body.state ?? seen.at(-1)?.[1], `agent ${id} ends right`);
  }
  late.sort((a, b) => a - b);
  const of = (share) => late[Math.min(late.length - 1, Math.floor(late.length * share))];
  t.diagnostic(`${events.length} transitions told, ${late.length} judged: p50 ${of(0.5)} ms, p95 ${of(0.95)} ms, p99 ${of(0.99)} ms, most ${late.at(-1)} ms`);
  assert.ok(of(0.5) <= 100, `p50 ${of(0.5)} ms`);
});
