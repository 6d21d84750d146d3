// The board, the other views of the shell and their keys in headless Chromium, against the
// real processes and scripted agents.
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { git, makeRepository, patience, startStack, support } from '../support/stack.mjs';
import { axe } from './axe.mjs';
import { openBrowser, rattle, watchContext } from './browser.mjs';

const WAIT = 20000 * patience;
const HOSTILE = '<img src=x onerror="window.owned=1"> \u202egnp.exe\u0007 </script><b>bold</b>';
const hang = { silence_ms: 3600000 };
const usage = (tokens_in, tokens_out, dollars) => ({ usage: { model: 'openai/practice', tokens_in, tokens_out, tokens_cached: 0, dollars } });

const SCRIPT = { turns: [
  { match: 'Ask me', steps: [
    { text: 'I would like to.\n' },
    { permission: { title: 'Run rm -r build', kind: 'execute', options: [
      { id: 'yes', name: 'Allow once', kind: 'allow_once' }, { id: 'no', name: 'Reject', kind: 'reject_once' }],
    allowed: [{ text: 'it was allowed\n' }, hang], rejected: [{ text: 'it was refused\n' }, hang] } },
  ] },
  { match: 'Write a file', steps: [
    { text: 'Writing.\n' }, { write: { path: 'a.txt', text: 'one\ntwo\nthree\n' } }, usage(1200, 34, 0.25), { commit: 'Write a file' }, { text: 'Written.\n' },
  ] },
  { match: 'Say nothing', steps: [{ text: 'nothing to do\n' }] },
  { match: 'Break', steps: [{ exit: 100 }] },
  { match: 'Talk', steps: [{ text: 'first line\n' }, { text: 'the last line that was said\n' }, hang] },
  { match: 'window.owned', steps: [{ text: `${HOSTILE}\n` }, hang] },
  { steps: [{ text: 'heard\n' }, hang] },
] };

let stack, repository, browser, context, page, origin, seen;

async function start(titles, options = {}) {
  const { tasks } = await stack.ask('task.create', { repository, manager: false, tasks: [titles].flat().map((title) => ({ title })), ...options });
  return tasks.flatMap(({ agents }) => agents);
}

const row = (id, on = page) => on.locator(`[data-agent="${id}"]`);
const state = (id, name, on = page) => on.locator(`[data-agent="${id}"] [data-state="${name}"]`);
const section = (name) => page.getByRole('region', { name, exact: true });
const list = async (params) => (await stack.ask('agent.list', params)).agents;
const toast = (text) => page.locator('.toast', { hasText: text });
const focused = () => page.evaluate(() => Number(document.activeElement?.closest('[data-agent]')?.getAttribute('data-agent') ?? 0));

let asking, writing, silent, broken, talking;

before(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir, { 'README.md': '# ledger\n' }, 'ledger');
  await git(repository, 'branch', 'develop');
  const script = path.join(stack.dir, 'script.json');
  await writeFile(script, JSON.stringify(SCRIPT));
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '--script', script], max_working: 8 } });
  [broken] = await start('Break at once');
  [silent] = await start('Say nothing');
  [writing] = await start('Write a file');
  [talking] = await start('Talk to me');
  [asking] = await start('Ask me first', { permission: 'ask' });
  await Promise.all([stack.untilState(broken, 'failed'), stack.untilState(silent, 'done'), stack.untilState(writing, 'done'),
    stack.untilState(asking, 'waiting'), stack.untilState(talking, 'working')]);
  await stack.startWebui();
  origin = `http://localhost:${stack.port}`;
  browser = await openBrowser();
  context = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 1360, height: 900 } });
  context.setDefaultTimeout(WAIT);
  seen = watchContext(context, origin);
  page = await context.newPage();
  await page.goto(`${origin}/sign-in?token=${stack.token}`);
  await page.getByText('Live', { exact: true }).waitFor();
});

after(async () => {
  await browser?.close();
  assert.deepEqual(await stack?.stop(), [], 'processes left behind');
});

// Each test begins on the board, whatever became of the one before.
beforeEach(async () => {
  await page.evaluate(() => localStorage.clear());
  await page.goto(origin);
  await page.locator('.row').first().waitFor();
});

test('the board: sections in order, each agent in its own, with what it did', async () => {
  await state(asking, 'waiting').waitFor();
  const names = await page.locator('.group').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
  assert.deepEqual(names, ['Needs you', 'Working', 'In review', 'Failed', 'Done']);
  for (const [name, id] of [['Needs you', asking], ['Working', talking], ['In review', writing], ['Failed', broken], ['Done', silent]]) {
    await section(name).locator(`[data-agent="${id}"]`).waitFor();
  }
  const written = row(writing);
  for (const text of ['Write a file', `#${writing}`, 'ledger', `agent-${writing}`, '+3', '1,234', '$0.25']) {
    await written.getByText(text, { exact: true }).first().waitFor();
  }
  await row(talking).getByText('the last line that was said').waitFor();
  await row(asking).getByText('Asks: Run rm -r build', { exact: true }).waitFor();
  // What happened before the page was opened is in the small lines of activity.
  for (const id of [asking, talking, writing]) await row(id).locator('.spark path:not([d=""])').waitFor({ state: 'attached' });
  assert.match(await row(asking).locator('.row-age').innerText(), /^\d+[smhd]$/);
});

test('who waits is told in the title and the icon, drawn by the page itself', async () => {
  await page.waitForFunction(() => document.title === '(1) 100x');
  const icon = await page.evaluate(() => document.getElementById('icon').href);
  assert.match(decodeURIComponent(icon), /^data:image\/svg\+xml,.*>1<\/text>/);
  const [other] = await start('Ask me as well', { permission: 'ask' });
  await state(other, 'waiting').waitFor();
  await page.waitForFunction(() => document.title === '(2) 100x' && decodeURIComponent(document.getElementById('icon').href).includes('>2</text>'));
  // The longest wait is on top.
  assert.deepEqual(await section('Needs you').locator('.row').evaluateAll((all) => all.map((one) => Number(one.dataset.agent))), [asking, other]);
  await stack.ask('agent.stop', { agent: other });
  await page.waitForFunction(() => document.title === '(1) 100x');
  await stack.ask('agent.delete', { agent: other });
  await row(other).waitFor({ state: 'detached' });
});

test('filter, sort and groups; the choice stays', async () => {
  await page.keyboard.press('/');
  await page.keyboard.type('write ledger');
  await row(talking).waitFor({ state: 'detached' });
  assert.equal(await page.locator('.row').count(), 1);
  await page.getByLabel('Filter').fill('is:failed');
  await row(broken).waitFor();
  assert.equal(await page.locator('.row').count(), 1);
  await page.getByLabel('Filter').fill('no such thing');
  await page.getByText('Nothing matches').waitFor();
  await page.getByLabel('Filter').press('Escape');
  await row(talking).waitFor();

  await page.getByRole('radio', { name: 'Repository' }).check();
  await page.getByRole('region', { name: 'ledger' }).waitFor();
  assert.equal(await page.locator('.group').count(), 1);
  assert.equal(await page.locator('.row').first().getAttribute('data-agent'), String(asking), 'who waits first');
  await page.getByRole('radio', { name: 'Task' }).check();
  await page.getByRole('region', { name: 'Write a file' }).waitFor();
  await page.getByLabel('Sort').selectOption('title');
  await page.reload();
  await page.getByRole('region', { name: 'Write a file' }).waitFor();
  assert.equal(await page.getByLabel('Sort').inputValue(), 'title');
  await page.getByLabel('Sort').selectOption('newest');
  await page.getByRole('radio', { name: 'State' }).check();
  // A section folds, and stays so.
  await section('Failed').getByRole('button', { name: /Failed/ }).click();
  await row(broken).waitFor({ state: 'detached' });
  await page.reload();
  await row(asking).waitFor();
  assert.equal(await row(broken).count(), 0);
  await section('Failed').getByRole('button', { name: /Failed/ }).click();
  await row(broken).waitFor();
});

test('everything by keyboard', async () => {
  await page.keyboard.press('j');
  assert.equal(await focused(), asking);
  await page.keyboard.press('j');
  assert.equal(await focused(), talking);
  const outline = await row(talking).locator('.row-link').evaluate((link) => getComputedStyle(link, '::after').outlineStyle);
  assert.equal(outline, 'solid', 'the focus is seen');
  await page.keyboard.press('p');
  await state(talking, 'paused').waitFor();
  await toast(`#${talking} paused`).waitFor();
  await page.keyboard.press('z');
  await state(talking, 'working').waitFor();
  await page.keyboard.press('k');
  await page.keyboard.press('k');
  assert.equal(await focused(), asking);

  await page.keyboard.press('Enter');
  await page.waitForURL(`${origin}/agents/${asking}`);
  await page.keyboard.press('g');
  await page.keyboard.press('b');
  await page.waitForURL(`${origin}/`);
  for (const [key, where] of [['n', '/new'], ['a', '/activity'], ['c', '/costs'], ['h', '/health'], ['s', '/settings'], ['w', `/agents/${asking}`]]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL(`${origin}${where}`);
    if (where !== '/new') continue;
    // Out of the field that has the focus.
    await page.locator('[name=repository]:focus').waitFor();
    await page.keyboard.press('Escape');
  }
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await help.getByText('Pause or resume').first().waitFor();
  await page.keyboard.press('Escape');
  await help.waitFor({ state: 'detached' });

  // Keys that are typed are not actions.
  await page.keyboard.press('g');
  await page.keyboard.press('b');
  await row(asking).waitFor();
  await page.keyboard.press('/');
  await page.locator('[aria-label="Filter"]:focus').waitFor();
  await page.keyboard.type('jxp?');
  assert.equal(await page.getByLabel('Filter').inputValue(), 'jxp?');
  await page.keyboard.press('Escape');
  await row(asking).waitFor();
  // Single keys can be switched off (WCAG 2.1.4).
  await page.keyboard.press('?');
  await help.getByLabel('Single keys act at once').uncheck();
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.keyboard.press('Control+k');
  const palette = page.getByRole('dialog', { name: 'Command palette' });
  await palette.getByRole('combobox').fill('keyboard');
  await page.keyboard.press('Enter');
  await help.getByLabel('Single keys act at once').check();
  await page.keyboard.press('Escape');
});

test('keys in one go: each acts on what the one before led to, also while no frame is drawn', async () => {
  const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  const palette = page.getByRole('dialog', { name: 'Command palette' });
  // The code of other views has come.
  await page.keyboard.press('c');
  await page.locator('[name=repository]:focus').waitFor();
  await rattle(page, 'Escape', 'gb');
  await row(writing).waitFor();
  // Whatever waits for a frame now comes after all of the keys.
  await page.evaluate(() => {
    const soon = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (run) => setTimeout(() => soon(run), 1500);
  });
  await rattle(page, '/', 'jxp?', 'Escape', '?');
  await help.waitFor();
  assert.equal(await page.getByLabel('Filter').inputValue(), '');
  await rattle(page, 'Escape', 'Control+k', 'keyboard', 'Enter');
  await help.waitFor();
  assert.equal(await palette.count(), 0);
  await rattle(page, 'Escape', 'Control+k', 'Escape', 'Control+k', 'x', 'Escape', 'Control+k', 'theme: dark', 'Enter');
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  assert.equal(await palette.count() + await help.count(), 0);
  assert.equal(await page.locator('.bulk').count(), 0, 'no key went to the view behind');
  await rattle(page, 'Control+k', 'theme: system', 'Enter');
  await page.waitForFunction(() => document.documentElement.dataset.theme !== 'dark');

  assert.equal(await focused(), asking, 'Escape left the filter for the first row');
  await rattle(page, 'jjkj');
  assert.equal(await focused(), writing);
  await rattle(page, 'x', '/', 'Escape', 'x', 'r', 'not sent', 'Escape', 'j');
  assert.equal(await page.locator('.tell').count(), 0);
  await page.locator('.bulk').getByText('2 selected').waitFor();
  assert.equal(await focused(), talking);
  await rattle(page, 'Escape');
  await page.locator('.bulk').waitFor({ state: 'detached' });

  await row(writing).locator('.row-link').focus();
  await rattle(page, 'Enter', '3', 'gn', 'https://example.org/sp');
  await page.waitForURL(`${origin}/new`);
  assert.equal(await page.locator('[name=repository]').inputValue(), 'https://example.org/sp');
  await page.goBack();
  assert.equal(page.url(), `${origin}/agents/${writing}?tab=changes`);
});

test('the palette finds agents, views and actions', async () => {
  const palette = page.getByRole('dialog', { name: 'Command palette' });
  await page.keyboard.press('Control+k');
  await page.keyboard.type(`#${writing}`);
  await palette.getByRole('option', { name: /Write a file/ }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(`${origin}/agents/${writing}`);
  await palette.waitFor({ state: 'detached' });
  await page.keyboard.press('Control+k');
  await page.keyboard.type('archive #');
  await palette.getByRole('option', { name: `Archive #${writing}` }).waitFor();
  await page.keyboard.press('Escape');
  await palette.waitFor({ state: 'detached' });
  await page.keyboard.press('Control+k');
  await page.keyboard.type('theme: dark');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  await page.reload();
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'dark');
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('radio', { name: 'High contrast' }).check();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'contrast');
  await page.getByRole('radio', { name: 'System' }).check();
  await page.keyboard.press('Escape');
  await page.goto(origin);
});

test('a question is answered from the board', async () => {
  await row(asking).getByRole('button', { name: 'Reply' }).click();
  const dialog = page.getByRole('dialog', { name: 'Message' });
  await dialog.getByText('Run rm -r build').waitFor();
  await dialog.getByRole('button', { name: 'Allow once' }).click();
  await state(asking, 'working').waitFor();
  await dialog.getByLabel('Message').fill('and be quick');
  await dialog.getByLabel('Message').press('Enter');
  await dialog.waitFor({ state: 'detached' });
  await toast(`Told #${asking}`).waitFor();
  await stack.until((event) => event.kind === 'message' && event.body.text === 'and be quick', 'the message', 20000, { agent: asking });
  await page.waitForFunction(() => document.title === '100x');
});

test('many at once: select, pause, resume, stop; what can be undone is', async () => {
  const ids = await start(['Many 1', 'Many 2', 'Many 3']);
  for (const id of ids) await state(id, 'working').waitFor();
  for (const id of ids) await row(id).getByRole('checkbox').check();
  const bar = page.getByRole('toolbar', { name: 'Selected agents' });
  await bar.getByText('3 selected').waitFor();
  await bar.getByRole('button', { name: 'Pause' }).click();
  for (const id of ids) await state(id, 'paused').waitFor();
  await bar.waitFor({ state: 'detached' });
  await toast('3 agents paused').getByRole('button', { name: 'Undo' }).click();
  for (const id of ids) await state(id, 'working').waitFor();

  for (const id of ids) await row(id).getByRole('checkbox').check();
  await bar.getByRole('button', { name: 'Tell' }).click();
  await page.getByRole('dialog', { name: 'Message' }).getByLabel('Message').fill('hello all');
  await page.getByRole('button', { name: 'Send' }).click();
  for (const id of ids) await stack.until((event) => event.kind === 'message' && event.body.text === 'hello all', 'the message', 20000, { agent: id });
  await bar.getByRole('button', { name: 'Stop' }).click();
  for (const id of ids) await state(id, 'stopped').waitFor();

  // Archived: off the board, back with a click.
  for (const id of ids) await row(id).getByRole('checkbox').check();
  await bar.getByRole('button', { name: 'Archive' }).click();
  for (const id of ids) await row(id).waitFor({ state: 'detached' });
  await page.getByRole('checkbox', { name: 'Archived', exact: true }).check();
  await section('Archived').locator(`[data-agent="${ids[0]}"]`).waitFor();
  await page.getByRole('checkbox', { name: 'Archived', exact: true }).uncheck();
  await row(ids[0]).waitFor({ state: 'detached' });
  await toast('3 agents archived').getByRole('button', { name: 'Undo' }).click();
  for (const id of ids) await state(id, 'stopped').waitFor();

  // Deleted: gone from the board at once, from the machine when nobody took it back.
  for (const id of ids) await row(id).getByRole('checkbox').check();
  await bar.getByRole('button', { name: 'Delete' }).click();
  for (const id of ids) await row(id).waitFor({ state: 'detached' });
  assert.equal((await list()).filter(({ id }) => ids.includes(id)).length, 3);
  await toast('3 agents deleted').getByRole('button', { name: 'Undo' }).click();
  for (const id of ids) await state(id, 'stopped').waitFor();
  // A toast under the pointer would stay.
  await page.mouse.move(600, 5);
  await row(ids[0]).locator('.row-link').focus();
  await page.keyboard.press('Delete');
  await row(ids[0]).waitFor({ state: 'detached' });
  await page.waitForFunction(() => !document.querySelector('.toast'));
  await stack.until((event) => event.kind === 'deleted' && event.subject === ids[0], 'the deletion', 20000);
  // Also when the page is left before.
  await row(ids[1]).locator('.row-link').focus();
  await page.keyboard.press('Delete');
  await row(ids[1]).waitFor({ state: 'detached' });
  await page.reload();
  await stack.until((event) => event.kind === 'deleted' && event.subject === ids[1], 'the deletion', 20000);
  // Refused, since its work cannot be saved: it is back, with the way to do it all the same.
  await rm(path.join(stack.stateDir, 'workspaces', String(ids[2]), 'repo/.git/HEAD'));
  seen.expected.push(/status of 409/);
  await row(ids[2]).locator('.row-link').focus();
  await page.keyboard.press('Delete');
  await toast(`#${ids[2]} was not deleted`).getByRole('button', { name: 'Delete without saving' }).click();
  await stack.until((event) => event.kind === 'deleted' && event.subject === ids[2], 'the deletion', 20000);
  await row(ids[2]).waitFor({ state: 'detached' });
  seen.expected.pop();
});

test('what agents and titles say is text, cleaned, in every view', async () => {
  const [id] = await start(`Hostile ${HOSTILE}`);
  await page.goto(origin);
  await state(id, 'working').waitFor();
  await row(id).locator('.row-tail').getByText('<img').waitFor();
  const check = async () => {
    assert.equal(await page.locator('main img, main b:has-text("bold"), dialog img, dialog b, .toast img').count(), 0);
    assert.equal(await page.evaluate(() => window.owned), undefined);
    assert.ok(!/[\u202e\u0007]/.test(await page.evaluate(() => document.body.innerText)));
  };
  assert.ok((await row(id).innerText()).includes('<img src=x onerror="window.owned=1"> ‹U+202E›gnp.exe␇ </script><b>bold</b>'));
  await check();
  await page.getByRole('radio', { name: 'Task' }).check();
  await check();
  await page.getByRole('radio', { name: 'State' }).check();
  await page.keyboard.press('Control+k');
  await page.keyboard.type('hostile');
  await page.locator('.palette').getByRole('option').first().waitFor();
  await check();
  await page.keyboard.press('Escape');
  await row(id).locator('.row-link').focus();
  await page.keyboard.press('r');
  await page.getByRole('dialog', { name: 'Message' }).waitFor();
  await check();
  await page.keyboard.press('Escape');
  await page.goto(`${origin}/activity`);
  await page.locator('.event').filter({ hasText: 'Hostile' }).first().waitFor();
  await check();
  await stack.ask('agent.delete', { agent: id });
});

test('new: checked as typed, the draft survives, a list becomes tasks', async () => {
  await page.goto(`${origin}/new`);
  await page.getByRole('button', { name: 'ledger' }).click();
  assert.equal(await page.getByLabel('Address').inputValue(), repository, 'earlier repositories are remembered');
  await page.getByText(/2 branches/).waitFor();
  assert.deepEqual(await page.locator('#branches option').evaluateAll((all) => all.map((one) => one.value).sort()), ['develop', 'main']);
  seen.expected.push(/status of 4\d\d/);
  await page.getByLabel('Base branch').fill('no-such-branch');
  await page.locator('.field', { hasText: 'Base branch' }).locator('.error').waitFor();
  await page.getByLabel('Base branch').fill('develop');
  await page.locator('.checked').getByText('develop').waitFor();
  seen.expected.pop();
  await page.getByLabel('Agents per task').fill('99');
  await page.getByText('A whole number from 1 to 10.').waitFor();
  await page.getByLabel('Agents per task').fill('2');
  await page.getByText('A whole number from 1 to 10.').waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Paste a list' }).click();
  await page.getByLabel('List of tasks').fill('- Many A\n  described here\n- [ ] Many B\n\n3. Many C');
  await page.getByRole('button', { name: 'Add 3 tasks' }).click();
  await page.getByRole('button', { name: 'Start 6 agents' }).waitFor();
  assert.equal(await page.getByLabel('Description').first().inputValue(), 'described here');
  await page.getByRole('button', { name: 'Remove task 3' }).click();
  await page.getByRole('button', { name: 'Start 4 agents' }).waitFor();
  await toast('Task removed').getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('button', { name: 'Start 6 agents' }).waitFor();
  await page.getByRole('button', { name: 'Remove task 3' }).click();
  await page.getByLabel('Manager').uncheck();
  await page.getByLabel('Test command').fill('true');
  await page.reload();
  await page.getByRole('button', { name: 'Start 4 agents' }).waitFor();
  assert.equal(await page.getByLabel('Base branch').inputValue(), 'develop');
  assert.equal(await page.getByLabel('Test command').inputValue(), 'true');
  assert.equal(await page.getByLabel('Manager').isChecked(), false);

  await page.getByRole('button', { name: 'Start 4 agents' }).click();
  await page.waitForURL(`${origin}/`);
  const made = (await list()).filter(({ title }) => /^Many [AB]$/.test(title));
  assert.deepEqual(made.map(({ title, base }) => `${title} ${base}`).sort(), ['Many A develop', 'Many A develop', 'Many B develop', 'Many B develop']);
  await page.goto(`${origin}/new`);
  assert.equal(await page.getByLabel('Address').inputValue(), '', 'what was started is no draft any more');
  for (const { id } of made) await stack.ask('agent.delete', { agent: id });
});

// It tidies up behind a view after the next frame, which may be late.
test('new: what was started is no draft any more, however busy the page is', async () => {
  await page.goto(`${origin}/new`);
  await page.evaluate(() => {
    const later = window.setTimeout;
    window.saves = [];
    window.setTimeout = (f, ms, ...rest) => {
      if (ms === 200) window.saves.push(f);
      return later(f, ms, ...rest);
    };
  });
  await page.getByLabel('Address').fill(repository);
  await page.getByLabel('Title').fill('Many D');
  await page.getByLabel('Manager').uncheck();
  await page.waitForFunction(() => JSON.parse(localStorage.getItem('100x-draft'))?.manager === false);
  await page.evaluate(() => {
    const later = window.setTimeout;
    window.requestAnimationFrame = () => 0;
    window.setTimeout = (f, ms, ...rest) => (ms === 35 ? 0 : later(f, ms, ...rest));
  });
  await page.getByRole('button', { name: /^Start/ }).click();
  await page.waitForURL(/agents/);
  assert.ok(await page.evaluate(() => window.saves.length && (window.saves.at(-1)(), true)), 'the draft was kept by a timer');
  await page.goto(`${origin}/new`);
  assert.equal(await page.getByLabel('Address').inputValue(), '');
  const [{ id }] = (await list()).filter(({ title }) => title === 'Many D');
  await stack.ask('agent.delete', { agent: id });
});

test('activity: everything that happened, live, filtered, further back', async () => {
  await page.goto(`${origin}/activity`);
  await page.locator('.event').first().waitFor();
  const count = await page.locator('.event').count();
  await stack.ask('config.set', { general: { instructions: 'Be brief.' } });
  await page.locator('.event', { hasText: 'Settings changed' }).getByText('instructions').first().waitFor();
  assert.ok((await page.locator('.event').count()) > count);
  await page.getByLabel('Kind').selectOption({ label: 'Commits and pull requests' });
  await page.locator('.event', { hasText: 'Commit' }).getByText('Write a file').first().waitFor();
  assert.equal(await page.locator('.event', { hasText: 'Settings changed' }).count(), 0);
  await page.getByLabel("Agent's number").fill(String(broken));
  await page.getByText('Nothing matches').waitFor();
  await page.getByLabel('Kind').selectOption({ label: 'States' });
  await page.locator('.event').getByText('Failed').waitFor();
  assert.ok(page.url().includes(`agent=${broken}`), 'the address can be shared');
});

test('costs: the sums of what was spent', async () => {
  await page.goto(`${origin}/costs`);
  const model = page.getByRole('region', { name: 'By model' });
  await model.getByText('openai/practice').waitFor();
  await model.getByText('$0.25').waitFor();
  await page.getByRole('region', { name: 'By repository' }).getByText('ledger').waitFor();
  await page.getByRole('region', { name: 'By role' }).getByText('Aider').waitFor();
  await page.getByRole('radio', { name: 'Today' }).check();
  await page.getByRole('img', { name: /Dollars by day; the most was \$0.25/ }).waitFor();
});

test('notifications: asked for by a click, told once, also with other tabs open', async () => {
  const other = await browser.newContext({ reducedMotion: 'reduce', storageState: await context.storageState() });
  other.setDefaultTimeout(WAIT);
  await other.addInitScript(() => {
    window.told = [];
    window.asked = 0;
    window.Notification = class {
      static permission = 'default';
      static async requestPermission() {
        window.asked++;
        this.permission = 'granted';
        return 'granted';
      }
      constructor(title, options) {
        window.told.push({ title, ...options });
      }
      close() {}
    };
  });
  const tab = await other.newPage();
  await tab.goto(origin);
  await state(talking, 'working', tab).waitFor();
  const [first] = await start('Ask me quietly', { permission: 'ask' });
  await state(first, 'waiting', tab).waitFor();
  assert.deepEqual(await tab.evaluate(() => [window.asked, window.told.length]), [0, 0], 'nobody is asked unasked');
  await tab.getByRole('button', { name: 'Menu' }).click();
  await tab.getByLabel('Desktop notifications').check();
  await tab.keyboard.press('Escape');
  assert.equal(await tab.evaluate(() => window.asked), 1);
  const [second] = await start(`Ask me loudly`, { permission: 'ask' });
  await tab.waitForFunction(() => window.told.length === 1);
  const [said] = await tab.evaluate(() => window.told);
  assert.equal(said.title, `#${second} waits for you`);
  assert.match(said.body, /^Ask me loudly/);
  await other.close();
  for (const id of [first, second]) await stack.ask('agent.delete', { agent: id });
});

test('six tabs, one stream, all live; after a dead server nothing is missing or double', async () => {
  const tabs = [page];
  await page.goto(origin);
  await page.getByText('Live', { exact: true }).waitFor();
  const before_ = seen.requests.filter((url) => url.includes('/api/v1/events')).length;
  for (let i = 0; i < 5; i++) {
    const tab = await context.newPage();
    await tab.goto(origin);
    await tab.getByText('Live', { exact: true }).waitFor();
    tabs.push(tab);
  }
  assert.equal(seen.requests.filter((url) => url.includes('/api/v1/events')).length, before_);
  const [id] = await start('Seen by six');
  for (const tab of tabs) await state(id, 'working', tab).waitFor();

  seen.expected.push(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|status of 503/);
  stack.webui.kill('SIGKILL');
  await stack.webui.ended;
  for (const tab of tabs) await tab.locator('.banner').waitFor();
  const [late] = await start('While it was dead');
  await stack.untilState(late, 'working');
  await stack.ask('agent.pause', { agent: id });
  await stack.untilState(id, 'paused');
  await stack.ask('agent.tell', { agent: late, text: 'one more' });
  await stack.startWebui({ port: stack.port });
  for (const tab of tabs) {
    await state(late, 'working', tab).waitFor();
    await state(id, 'paused', tab).waitFor();
    await tab.locator('.banner').waitFor({ state: 'detached' });
  }
  seen.expected.pop();
  const truth = (await list()).map((agent) => `${agent.id} ${agent.state} ${agent.turn}`).sort();
  for (const tab of tabs) {
    const shown = () => tab.locator('.row').evaluateAll((rows) => rows.map((one) =>
      `${one.dataset.agent} ${one.querySelector('[data-state]').dataset.state} ${one.querySelectorAll('dd')[1].textContent.replace('–', '0')}`).sort());
    assert.deepEqual(await shown(), truth);
  }
  for (const tab of tabs.slice(1)) await tab.close();
  for (const one of [id, late]) await stack.ask('agent.delete', { agent: one });
});

test('axe finds nothing: dark, light, high contrast, forced colours, 200 %, phone', async () => {
  const storageState = await context.storageState();
  const found = [];
  for (const [name, options, theme] of [
    ['dark', { colorScheme: 'dark' }, 'system'],
    ['light', { colorScheme: 'light' }, 'system'],
    ['contrast', { colorScheme: 'dark', contrast: 'more' }, 'contrast'],
    ['forced', { forcedColors: 'active' }, 'system'],
    ['200 %', { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 }, 'system'],
    ['phone', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, 'system'],
  ]) {
    const other = await browser.newContext({ storageState, reducedMotion: 'reduce', viewport: { width: 1280, height: 900 }, ...options });
    other.setDefaultTimeout(WAIT);
    await other.addInitScript((value) => localStorage.setItem('100x-theme', JSON.stringify(value)), theme);
    const tab = await other.newPage();
    for (const [where, ready] of [['/', '.row'], ['/new', '.create'], ['/activity', '.event'], ['/costs', '.cost-table'],
      ['/settings', '.settings'], ['/health', '.cards, .notice']]) {
      await tab.goto(origin + where);
      await tab.locator(ready).first().waitFor();
      found.push(...await axe(tab, `${name} ${where}`));
      const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${name} ${where} scrolls sideways by ${wide}`);
      assert.equal(await tab.evaluate(() => document.getAnimations().filter((one) => one.playState === 'running').length), 0, `${where} moves`);
    }
    await tab.goto(origin);
    await row(talking, tab).waitFor();
    for (const [keys, ready] of [['Control+k', '.palette'], ['?', '.help']]) {
      await tab.keyboard.press(keys);
      await tab.locator(ready).waitFor();
      found.push(...await axe(tab, `${name} ${ready}`));
      await tab.keyboard.press('Escape');
      await tab.locator(ready).waitFor({ state: 'detached' });
    }
    await row(talking, tab).locator('.row-link').focus();
    await tab.keyboard.press('x');
    await tab.locator('.bulk').waitFor();
    found.push(...await axe(tab, `${name} selected`));
    await tab.keyboard.press('r');
    await tab.locator('.tell').waitFor();
    found.push(...await axe(tab, `${name} message`));
    await other.close();
  }
  assert.deepEqual(found, []);
});

test('no error in the console, no request to another origin', () => {
  assert.deepEqual(seen.wrong, []);
});
