// The agent's and the task's views in headless Chromium against the real processes and
// scripted agents: story, terminal, changes, cost, details, side by side.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeRepository, patience, startPracticeModel, startStack, support } from '../support/stack.mjs';
import { axe } from './axe.mjs';
import { openBrowser, watchContext } from './browser.mjs';
import { HOSTILE } from './hostile.mjs';

const WAIT = 30000 * patience;
const LINES = 1000000;
// More than the page's process keeps for streams that are late (HUB_RING events).
const AWAY = 400000, AWAY_MS = 60000; // lines said, and time, while the server is dead
const BACK_MS = 30000; // the page asks again at least every ten seconds
const GO = path.join(tmpdir(), `100x-go-${process.pid}`);

const usage = (tokens_in, tokens_out, dollars) => ({ usage: { model: 'openai/practice', tokens_in, tokens_out, tokens_cached: 100, dollars } });
const hang = { silence_ms: 3600000 };
const BIG = Array.from({ length: 5000 }, (_, i) => `line ${i} of the big file`).join('\n');

// Each hostile output through every channel and as the name of many things.
const hostileSteps = HOSTILE.flatMap((text, i) => [
  { [['text', 'thought', 'log'][i % 3]]: `${i}: ${text}\n` },
  ...(i % 5 === 0 ? [{ tool: { id: `h${i}`, title: text.slice(0, 300), kind: i % 2 ? 'execute' : 'other', status: 'completed', text } }] : []),
]);

// The rivals are the first agents there are.
const JUDGEMENT = { winner: 2, reasons: 'It does what was wanted with <b>least</b>.', scores: [1, 2, 3].map((agent) => ({ agent, score: 60 + agent, reasons: `Reasons for ${agent}.` })) };

const SCRIPT = { turns: [
  { match: 'Tell a story', steps: [
    { thought: 'A file is wanted.\n' }, { text: 'I write it.\n' },
    { write: { path: 'hello.txt', text: 'hello\n  world\n' } }, { commit: 'Say hello' }, usage(1200, 34, 0.0125), { silence_ms: 3600000 } ] },
  { match: 'and more', steps: [
    { text: '\u001b[1;38;2;200;80;0mbright\u001b[0m see https://example.org/docs and so on\n' }, usage(2300, 66, 0.0203), hang ] },
  { match: 'hello.txt:2', steps: [{ text: 'the comment has come\n' }, hang] },
  { match: 'Change much', steps: [{ write: { path: 'big.txt', text: BIG } }, { commit: 'Much' }, { text: 'much is changed\n' }] },
  { match: 'Flood', steps: [{ text: 'the flood begins\n' }, { silence_ms: 1500 }, { flood: { lines: 150000, size: 80 } }, { text: '\nthe flood has ended\n' }, hang] },
  { match: 'Dead server', steps: [{ flood: { lines: 300, size: 60 } }, { run: `until [ -e ${GO} ]; do sleep 0.05; done` },
    { flood: { lines: AWAY, size: 60 } }, { silence_ms: AWAY_MS }, { text: '\nthe last of all\n' }, hang] },
  { match: 'A million', steps: [{ flood: { lines: LINES, size: 60 } }, { text: '\nlast line of all\n' }, hang] },
  { match: 'Be hostile', steps: [
    ...hostileSteps,
    { write: { path: 'evil.html', text: `${HOSTILE.join('\n')}\n` } },
    { write: { path: "<img src=x onerror=window.owned=1>.txt", text: 'x\n' } },
    { write: { path: 'a\u202etxt.exe', text: '\u202e\n' } },
    { commit: '<script>window.owned=1</script>\u001b]0;t\u0007\u202e' },
    { text: '\n\u001b[0mthe end of the hostile turn\n' },
    { permission: { title: '<i>may I</i>\u202e\u001b]0;x\u0007', kind: 'execute', options: [
      { id: 'yes', name: '<u>Allow</u>', kind: 'allow_once' }, { id: 'no', name: 'Reject', kind: 'reject_once' }],
    allowed: [{ text: 'allowed\n' }], rejected: [{ text: 'rejected\n' }] } } ] },
  ...['one', 'two', 'three'].map((word, i) => ({ match: 'Rival', steps: [
    { text: `I am ${word}\n` }, { write: { path: 'same.txt', text: `${word}\n`.repeat(i + 1) } }, { commit: word }, usage(100 * (i + 1), 10, 0.01 * (i + 1)) ] })),
  { steps: [{ text: 'once more\n' }, hang] },
] };

let model, stack, repository, rivals, browser, context, page, origin, seen;

before(async () => {
  const rules = path.join(tmpdir(), `agent-test-${process.pid}.json`);
  await writeFile(rules, JSON.stringify({ rules: [{ system: 'You judge the work of several coding agents', answer: JSON.stringify(JUDGEMENT) }] }));
  model = await startPracticeModel({ script: rules });
  await rm(rules);
  stack = await startStack({ practice: model.port });
  repository = await makeRepository(stack.dir);
  const script = path.join(stack.dir, 'script.json');
  await writeFile(script, JSON.stringify(SCRIPT));
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '--script', script], limit_turns: 40, limit_dollars: 3, max_working: 50 } });
  rivals = await create('Rival', { agents_per_task: 3 });
  await stack.startWebui();
  origin = `http://localhost:${stack.port}`;
  browser = await openBrowser();
  ({ context, page, seen } = await visitor());
});

after(async () => {
  await browser?.close();
  assert.deepEqual(await stack?.stop(), [], 'processes left behind');
  await model?.stop();
});

async function visitor(options = {}) {
  const made = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 1280, height: 820 }, ...options });
  made.setDefaultTimeout(WAIT);
  const watching = watchContext(made, origin);
  const first = await made.newPage();
  await first.goto(`${origin}/sign-in?token=${stack.token}`);
  await first.getByRole('link', { name: 'New task' }).first().waitFor();
  return { context: made, page: first, seen: watching };
}

async function create(title, more = {}) {
  const { tasks } = await stack.ask('task.create', { repository, manager: false, pull_request: false, tasks: [{ title }], ...more });
  return tasks[0];
}

const output = (agent, text, ms = 60000) =>
  stack.until((e) => e.kind === 'output' && String(e.body.text).includes(text), `agent ${agent} to say "${text}"`, ms, { agent, kinds: ['output'] });
const log = () => page.getByRole('log');
const tab = (name) => page.getByRole('tab', { name });
const turn = (number) => page.locator(`[data-turn="${number}"]`);
const control = (name) => page.getByRole('group', { name: 'Controls' }).getByRole('button', { name });

let story;

test('the story is told by turns that fold; its keys; the draft is kept', async () => {
  ({ agents: [story] } = await create('Tell a story'));
  await page.goto(`${origin}/agents/${story}`);
  await turn(1).getByText('I write it.').waitFor();
  await turn(1).locator('.fact-good', { hasText: 'Say hello' }).waitFor();
  await turn(1).getByText('1,234 tok').waitFor();
  await page.locator('.agent-figures').getByText('/ 40').waitFor();
  await page.locator('.agent-figures').getByText('/ $3.00').waitFor();
  assert.equal(await control('Archive').getAttribute('aria-disabled'), 'true');
  assert.match(await control('Archive').getAttribute('title'), /only an agent that has ended/);

  await page.keyboard.press('r');
  const message = page.getByLabel(`Message to agent ${story}`);
  await page.keyboard.type('and more, pl');
  await page.reload();
  assert.equal(await message.inputValue(), 'and more, pl');
  await message.focus();
  await page.keyboard.press('End');
  await page.keyboard.type('ease');
  await page.keyboard.press('Enter');
  await turn(1).locator('.fact-person', { hasText: 'and more, please' }).first().waitFor();
  assert.equal(await message.inputValue(), '');
  await page.keyboard.press('Escape');
  await control('Interrupt').click();
  await turn(2).getByText('bright').waitFor();
  await turn(1).getByText('cancelled', { exact: true }).first().waitFor();

  // A fresh page opens the newest turn only.
  await page.reload();
  await turn(2).getByText('bright').waitFor();
  assert.equal(await turn(1).getByText('I write it.').count(), 0);
  await page.keyboard.press('j');
  for (;;) {
    const at = await page.evaluate(() => document.activeElement?.closest('[data-turn]')?.getAttribute('data-turn'));
    if (at === '1') break;
    await page.keyboard.press('j');
  }
  await page.keyboard.press('Enter');
  await turn(1).getByText('I write it.').waitFor();

  for (const [key, name] of [['2', 'Terminal'], ['3', 'Changes'], ['4', 'Cost'], ['5', 'Details'], ['1', 'Story']]) {
    await page.keyboard.press(key);
    await page.locator('[role=tab][aria-selected=true]', { hasText: name }).waitFor();
  }
});

test('the terminal shows colours under the strict policy; a link asks first', async () => {
  await tab(/Terminal/).click();
  const rows = page.locator('.xterm-rows');
  await rows.getByText('see https://example.org/docs').waitFor();
  const color = await rows.locator('span', { hasText: 'bright' }).first().evaluate((span) => getComputedStyle(span).color);
  assert.notEqual(color, await rows.evaluate((box) => getComputedStyle(box).color), 'a true colour is shown');
  assert.notEqual(await rows.locator('> div').first().evaluate((row) => getComputedStyle(row).height), '0px');

  const place = await rows.locator('> div', { hasText: 'see https' }).first().evaluate((row) => {
    const node = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
    while (node.nextNode()) {
      const at = node.currentNode.textContent.indexOf('https://');
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(node.currentNode, at + 4);
      range.setEnd(node.currentNode, at + 5);
      const { x, y, height } = range.getBoundingClientRect();
      return { x, y: y + height / 2 };
    }
    return null;
  });
  await page.mouse.move(place.x, place.y);
  await page.locator('.xterm-cursor-pointer').waitFor();
  await page.mouse.click(place.x, place.y);
  const dialog = page.getByRole('dialog');
  await dialog.getByText('https://example.org/docs', { exact: true }).waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await dialog.waitFor({ state: 'detached' });

  await page.getByLabel('Search in the terminal').fill('nowhere to be found');
  await page.getByText('nothing found').waitFor();
  await page.getByLabel('Screen reader').check();
  await page.locator('.xterm-accessibility').getByText('https://example.org/docs').first().waitFor();
  await page.getByLabel('Screen reader').uncheck();
});

test('a comment on a line becomes an instruction', async () => {
  await tab(/Changes/).click();
  const file = page.locator('.diff-file', { hasText: 'hello.txt' });
  await file.locator('[data-line="new:2"] .diff-number').last().click();
  const field = page.getByLabel(/about hello\.txt:2/);
  await field.fill('Say the world, please.');
  await field.press('Enter');
  await page.getByRole('list', { name: 'Sent as instructions' }).getByText('Say the world').waitFor();
  const sent = await stack.until((e) => e.kind === 'message' && e.body.text?.includes('Say the world') && e.body, 'the message', 20000, { agent: story });
  assert.equal(sent.text, 'hello.txt:2\n>   world\n\nSay the world, please.');

  // By keys alone: to the change, to its line, and a form there.
  await page.keyboard.press('j');
  await page.locator('.diff-hunk.diff-at').waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('c');
  await page.getByLabel(/about hello\.txt:1/).press('Escape');
  await page.keyboard.press('s');
  await page.locator('.diff-split').first().waitFor();
  await page.keyboard.press('s');
  await page.locator('.diff-split').first().waitFor({ state: 'detached' });
});

test('costs are exact, in the chart and in the tables', async () => {
  await tab(/Cost/).click();
  await page.locator('.u-over').waitFor();
  const row = (table, name) => page.getByRole('region', { name: table }).getByRole('row', { name });
  assert.match(await row('By turn', /^Turn 2/).innerText(), /2,300\s+100\s+66\s+\$0\.0203/);
  assert.match(await row('By role and model', /^All/).innerText(), /2\s+3,500\s+200\s+100\s+\$0\.0328/);
});

test('details tell what runs, live, and how it was started', async () => {
  await tab(/Details/).click();
  const processes = page.locator('[data-processes]');
  await processes.getByText('worker').first().waitFor();
  const worker = (await stack.ask('agent.show', { agent: story })).pid;
  await processes.getByText(String(worker), { exact: true }).waitFor();
  await processes.getByText(/scripted/).first().waitFor();
  assert.match(await processes.locator('tfoot').innerText(), /\d+ processes\s+[\d.]+ MB/);
  await page.locator('.details').getByText(new RegExp(`workspaces/${story}`)).waitFor();
  await page.getByRole('region', { name: 'Starts and ends' }).getByText('started').waitFor();
  // Asked again while it is looked at, and not when it is not.
  const asked = () => seen.requests.filter((url) => url.endsWith('/process')).length;
  const before = asked();
  await page.waitForRequest(/\/process$/);
  assert.ok(asked() > before);
  await tab(/Story/).click();
  const left = asked();
  await page.waitForTimeout(2500);
  assert.equal(asked(), left);
});

test('5,000 changed lines are there within 300 ms', async () => {
  const { agents: [agent] } = await create('Change much');
  await output(agent, 'much is changed');
  await stack.until((e) => e.kind === 'diff' && e.body.added >= 5000, 'the diff', 20000, { agent });
  await page.goto(`${origin}/agents/${agent}`);
  await turn(1).getByText('much is changed').waitFor();
  const ms = await page.evaluate(() => new Promise((resolve) => {
    const from = performance.now();
    document.getElementById('tab-changes').click();
    const look = () => (document.querySelector('.diff-rows') ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - from))) : requestAnimationFrame(look));
    look();
  }));
  console.log(`# 5,000-line diff: ${ms.toFixed(0)} ms`);
  assert.ok(ms < 300 * patience, `${ms} ms`);
  await page.getByText('line 4999 of the big file').waitFor({ state: 'attached' });
});

test('the terminal keeps up with a flood, and the page with it', async () => {
  const { agents: [agent] } = await create('Flood');
  await output(agent, 'the flood begins');
  await page.goto(`${origin}/agents/${agent}?tab=terminal`);
  const rows = page.locator('.xterm-rows');
  await rows.getByText('the flood begins').waitFor();
  await page.evaluate(() => {
    window.longest = 0;
    let last = performance.now();
    const tick = (at) => {
      window.longest = Math.max(window.longest, at - last);
      last = at;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  await rows.getByText('the flood has ended').waitFor();
  const longest = await page.evaluate(() => window.longest);
  console.log(`# longest time between two frames in the flood: ${longest.toFixed(0)} ms`);
  assert.ok(longest < 1000 * patience, `${longest} ms`);
  await stack.ask('agent.stop', { agent });
});

test('a million lines: quick, small, and any part of them', async () => {
  const { agents: [agent] } = await create('A million');
  await stack.until((e) => e.kind === 'output' && String(e.body.text).includes('last line of all'), 'the flood', 120000, { agent, kinds: ['output'] });
  const cdp = await context.newCDPSession(page);
  await page.goto(origin);
  await page.getByText('A million').first().waitFor();
  await cdp.send('Network.enable');
  let bytes = 0;
  const count = ({ encodedDataLength }) => (bytes += encodedDataLength);
  cdp.on('Network.loadingFinished', count);
  // From the board, as a person comes: what is not cached yet is counted.
  const from = await page.evaluate((id) => {
    history.pushState(null, '', `/agents/${id}`);
    const at = performance.now();
    dispatchEvent(new PopStateEvent('popstate'));
    return new Promise((resolve) => {
      const look = () => (document.querySelector('.said pre') ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - at))) : requestAnimationFrame(look));
      look();
    });
  }, agent);
  await turn(1).getByText('last line of all').waitFor();
  await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
  console.log(`# a million lines: first paint ${from.toFixed(0)} ms, ${bytes} bytes`);
  assert.ok(from < 300 * patience, `${from} ms`);
  assert.ok(bytes < 300 * 1024, `${bytes} bytes`);
  cdp.off('Network.loadingFinished', count);

  await page.getByRole('log').evaluate((box) => (box.scrollTop = 0));
  for (let i = 0; i < 3; i++) {
    const first = await log().locator('.said').first().getAttribute('data-first');
    await page.getByRole('button', { name: 'Load earlier' }).click();
    await page.waitForFunction((was) => document.querySelector('.said').dataset.first !== was, first);
  }
  await page.getByRole('button', { name: 'Follow' }).click();
  await turn(1).getByText('last line of all').waitFor();
  // A line far away, by the server's search: its surroundings are shown, and all is reached from there.
  await page.keyboard.press('/');
  const searched = Date.now();
  await page.keyboard.type('500000 ns=');
  const hit = page.getByRole('list', { name: 'Found' }).getByRole('button').first();
  await hit.waitFor();
  console.log(`# search typed and answered in ${Date.now() - searched} ms`);
  await page.keyboard.press('Enter');
  const shown = log().locator('.said pre', { hasText: '500000 ns=' }).first();
  await shown.waitFor();
  await page.waitForFunction(() => CSS.highlights.get('found')?.size > 0);
  assert.ok(await page.evaluate(() => {
    const [range] = CSS.highlights.get('found');
    const at = range.getBoundingClientRect();
    const box = document.querySelector('.log-box').getBoundingClientRect();
    return at.top >= box.top && at.bottom <= box.bottom;
  }), 'the hit is in sight');
  assert.equal(await turn(1).getByText('last line of all').count(), 0, 'only the surroundings are in the page');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Load more' }).click();
  await turn(1).getByText('501000 ns=').first().waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'Follow' }).click();
  await turn(1).getByText('last line of all').waitFor();

  await tab(/Terminal/).click();
  await page.locator('.xterm-rows').getByText('last line of all').waitFor();
  await tab(/Story/).click();
  await cdp.send('HeapProfiler.collectGarbage');
  const { usedSize } = await cdp.send('Runtime.getHeapUsage');
  console.log(`# heap ${(usedSize / 1048576).toFixed(1)} MiB`);
  assert.ok(usedSize < 60 * 1048576, `${usedSize} bytes`);
  await stack.ask('agent.delete', { agent });
  await page.getByRole('heading', { name: `No agent ${agent}` }).waitFor();
});

test('after a minute of a dead server each line is there once: more of them than it keeps for late streams', async () => {
  const { agents: [agent] } = await create('Dead server');
  await output(agent, '299 ns=');
  await page.goto(`${origin}/agents/${agent}`);
  await turn(1).getByText('299 ns=').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  // What the tab that reads the stream tells the others, as another tab hears it.
  const other = await context.newPage();
  await other.goto(`${origin}/settings`);
  await other.getByText('Live', { exact: true }).waitFor();
  await other.evaluate((id) => {
    window.heard = [];
    new BroadcastChannel('100x-events').addEventListener('message', ({ data: word }) => {
      for (const event of word.events ?? []) {
        const { kind, subject, body } = JSON.parse(event.data);
        if (kind === 'output' && subject === id) window.heard.push([event.id, body.text]);
      }
    });
  }, agent);
  // The stream has a place to go on from.
  await stack.ask('agent.tell', { agent, text: 'for the next turn' });
  await log().getByText('for the next turn').waitFor();

  seen.expected.push(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|status of 503/);
  stack.webui.kill('SIGKILL');
  await stack.webui.ended;
  await page.locator('.banner').waitFor();
  await writeFile(GO, '');
  await output(agent, 'the last of all', AWAY_MS + 60000);
  await rm(GO);
  const events = await stack.events(agent, ['output']);
  assert.ok(await page.locator('.banner').isVisible(), 'the banner stands all the while');
  await stack.startWebui({ port: stack.port });
  await turn(1).getByText('the last of all').waitFor({ timeout: BACK_MS * patience });
  await page.locator('.banner').waitFor({ state: 'detached' });
  seen.expected.pop();

  const heard = await other.evaluate(() => window.heard);
  const away = events.slice(-heard.length);
  assert.ok(heard.length > 4096, `${heard.length} events were missed meanwhile`);
  assert.deepEqual(heard.map(([id]) => id), away.map(({ id }) => id), 'each event once, in order');
  const numbers = heard.map(([, text]) => text).join('').split('\n').filter((line) => line.includes(' ns=')).map((line) => Number(line.split(' ')[0]));
  assert.equal(numbers.length, AWAY);
  assert.ok(numbers.every((number, i) => number === i), 'each line once, in order');
  // And what is shown of them, down to the last.
  const shown = (await log().locator('.said pre').allInnerTexts()).join('').split('\n').filter((line) => line.includes(' ns=')).map((line) => Number(line.split(' ')[0]));
  assert.ok(shown.length > 1000 && shown.at(-1) === AWAY - 1, `${shown.length} lines to ${shown.at(-1)}`);
  assert.ok(shown.slice(1).every((number, i) => number === shown[i] + 1), 'no line is missing or double on the page');
  await other.close();
  await stack.ask('agent.delete', { agent });
});

test('agents of a task side by side, their changes compared', async () => {
  const { id, agents } = rivals;
  for (const agent of agents) await stack.untilState(agent, 'done', 60000);
  await page.goto(`${origin}/tasks/${id}`);
  for (const agent of agents) await page.locator(`[data-rival="${agent}"]`).getByText('Done').waitFor();
  await page.locator('.versus-row .diff-rows').first().waitFor();
  await page.getByLabel('Right').selectOption(String(agents[2]));
  await page.waitForFunction(() => document.querySelectorAll('.versus-row .diff-file').length === 2);
  assert.deepEqual(agents, [1, 2, 3], 'as the judge knows them');
  const rival = (agent) => page.locator(`[data-rival="${agent}"]`);

  // Advice, with reasons; nothing is done by it.
  await page.getByRole('button', { name: 'Ask for advice' }).click();
  await page.getByRole('heading', { name: 'Advice: agent 2' }).waitFor();
  await page.getByText('It does what was wanted with <b>least</b>.').waitFor();
  await rival(2).getByText('62 of 100').waitFor();
  await rival(2).getByText('advised').waitFor();
  await rival(1).getByText('Reasons for 1.').waitFor();
  assert.equal((await stack.ask('agent.list', { task: id })).agents.length, 3);

  // The winner; the others leave the board, and come back.
  await rival(1).getByRole('button', { name: 'Pick as winner' }).click();
  await rival(1).getByText('winner').waitFor();
  await rival(3).getByText('archived').waitFor();
  await page.getByText('Agent 1 is the winner.').waitFor();
  assert.deepEqual((await stack.ask('agent.list', { task: id })).agents.map((agent) => agent.id), [1]);
  assert.equal(await rival(2).getByRole('button', { name: 'Pick as winner' }).getAttribute('aria-disabled'), 'true');
  await page.getByRole('button', { name: 'Take it back' }).click();
  await page.getByText('Agent 1 is the winner.').waitFor({ state: 'detached' });
  await rival(3).getByText('archived').waitFor({ state: 'detached' });
  assert.equal((await stack.ask('agent.list', { task: id })).agents.length, 3);
  await page.reload();
  await rival(2).getByText('62 of 100').waitFor();

  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(`${origin}/agents/${agents[1]}`);

  // An agent that has ended can leave the board and come back.
  await control('Archive').click();
  await page.locator('.agent-head').getByText('archived', { exact: true }).waitFor();
  await control('Unarchive').click();
  await control('Archive').waitFor();
});

test(`${HOSTILE.length} hostile outputs do nothing in any view`, async () => {
  assert.ok(HOSTILE.length >= 200);
  const { id, agents: [agent] } = await create('Be hostile', { permission: 'ask' });
  await stack.untilState(agent, 'waiting', 60000);
  const popups = [];
  context.on('page', (opened) => popups.push(opened.url()));
  const harmless = async (where) => {
    assert.equal(await page.evaluate(() => window.owned), undefined, where);
    assert.equal(await page.locator('main :is(img, script, iframe, object, embed, b, i, u, form[action], a[href^="javascript"], a[href^="data"], a[href*="evil"])').count(), 0, where);
    assert.doesNotMatch(await page.title(), /owned|title/, where);
    assert.doesNotMatch(await page.locator('main').innerText(), /[\u202a-\u202e\u2066-\u2069\u061c\u200e\u200f\u001b\u0000\u0007\u009b\u009d]/, where);
  };
  await page.goto(`${origin}/agents/${agent}`);
  await page.getByRole('heading', { name: 'The agent asks' }).waitFor();
  await turn(1).getByText('the end of the hostile turn').waitFor();
  const earlier = page.getByRole('button', { name: 'Load earlier' });
  while (await earlier.count()) {
    const first = await log().locator('.said').first().getAttribute('data-first');
    await earlier.click();
    await page.waitForFunction((was) => document.querySelector('.said').dataset.first !== was, first);
  }
  for (const text of ['<img src=x onerror="window.owned=1">', '</script><script>window.owned=1</script>', '\\u003cscript']) {
    assert.ok(await turn(1).getByText(text).count() > 0, `${text} is shown as text`);
  }
  for (const details of await turn(1).locator('details').all()) await details.evaluate((one) => (one.open = true));
  await harmless('story');
  await tab(/Terminal/).click();
  await page.locator('.xterm-rows').getByText('the end of the hostile turn').waitFor();
  for (let i = 0; i < 40; i++) await page.locator('.xterm').press('PageUp');
  await harmless('terminal');
  await page.getByLabel('Screen reader').check();
  await harmless('terminal for a screen reader');
  await page.getByLabel('Screen reader').uncheck();
  await page.getByRole('button', { name: '<u>Allow</u>' }).click();
  await stack.until((e) => e.kind === 'diff' && e.body.files.length >= 3, 'the diff', 30000, { agent });
  for (const [name, ready] of [[/Changes/, '.diff-rows'], [/Cost/, '.panel'], [/Details/, '.details']]) {
    await tab(name).click();
    await page.locator(ready).first().waitFor();
    if (String(name) === '/Changes/') await page.keyboard.press('s');
    await harmless(String(name));
  }
  await page.goto(`${origin}/tasks/${id}`);
  await page.locator('.rival').first().waitFor();
  await harmless('task');
  assert.deepEqual(popups, []);
  assert.equal(await page.evaluate(() => navigator.clipboard?.readText?.().catch(() => '') ?? ''), '');
});

test('axe finds nothing: dark, light, forced colours, at 200 %, on a phone', async () => {
  const { id } = rivals;
  const { agents: [waiting] } = await create('Be hostile', { permission: 'ask' });
  await stack.untilState(waiting, 'waiting', 60000);
  const found = [];
  for (const [name, options] of Object.entries({
    dark: { colorScheme: 'dark' },
    light: { colorScheme: 'light' },
    forced: { forcedColors: 'active', colorScheme: 'dark' },
    'light 200 %': { colorScheme: 'light', viewport: { width: 640, height: 410 } },
    phone: { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
  })) {
    const other = await visitor(options);
    for (const [where, ready] of [
      [`/agents/${story}`, '.turn-open .said'],
      [`/agents/${waiting}`, '.question'],
      [`/agents/${story}?tab=terminal`, '.xterm-rows span'],
      [`/agents/${story}?tab=changes`, '.diff-rows'],
      [`/agents/${story}?tab=cost`, '.u-over'],
      [`/agents/${story}?tab=details`, '.details-list, .details-none'],
      [`/tasks/${id}`, '.versus .diff-rows'],
    ]) {
      await other.page.goto(origin + where);
      await other.page.locator(ready).first().waitFor();
      found.push(...await axe(other.page, `${name} ${where}`));
      const wide = await other.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 1) found.push(`${name} ${where}: ${wide} px too wide`);
    }
    found.push(...other.seen.wrong);
    await other.context.close();
  }
  assert.deepEqual(found, []);
});

test('on a phone the end of what the agent says is above the reply box', async () => {
  const { page: phone, context } = await visitor({ viewport: { width: 390, height: 844 } });
  for (const [tab, box, ready] of [['story', '.log-box', '.turn-open .said'], ['terminal', '.terminal-place', '.xterm-rows span']]) {
    await phone.goto(`${origin}/agents/${story}?tab=${tab}`);
    await phone.locator(ready).first().waitFor();
    const end = await phone.locator(box).boundingBox(), reply = await phone.locator('.composer').boundingBox();
    assert.ok(end.height >= 150 && end.y + end.height <= reply.y, `${tab}: ${JSON.stringify({ end, reply })}`);
  }
  await context.close();
});

test('no error in the console, no request to another origin', () => {
  assert.deepEqual(seen.wrong, []);
});
