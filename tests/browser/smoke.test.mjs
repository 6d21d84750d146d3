// The page in headless Chromium against the real processes and a scripted agent.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeRepository, patience, startStack, support } from '../support/stack.mjs';
import { openBrowser, watchContext } from './browser.mjs';

const WAIT = 20000 * patience;

const HOSTILE = [
  '<img src=x onerror="window.owned=1">',
  '</script><script>window.owned=1</script>',
  '\u001b[31mred\u001b[0m \u001b]0;title\u0007\u001b]8;;javascript:window.owned=1\u001b\\click\u001b]8;;\u001b\\',
  'bell\u0007 backspace\u0008 bidi\u202e',
].join('\n');

// Which turns an agent plays is chosen by its task's title.
const SCRIPT = {
  turns: [
    { match: 'Say hello', steps: [
      { thought: 'A file is wanted.\n' },
      { text: 'I will write hello.\n' },
      { write: { path: 'hello.txt', text: 'hello\nworld\n' } },
      { usage: { model: 'openai/practice', tokens_in: 1200, tokens_out: 34, tokens_cached: 0, dollars: 0.0125 } },
      { commit: 'Say hello' },
      { text: 'Done with it.\n' },
    ] },
    { match: 'Be hostile', steps: [
      { text: `${HOSTILE}\nend of it\n` },
      { write: { path: 'evil.html', text: `${HOSTILE}\n` } },
      { commit: '<b>bold</b> commit' },
      { permission: { title: '<i>may I</i>', kind: 'execute', options: [
        { id: 'yes', name: 'Allow <u>once</u>', kind: 'allow_once' }, { id: 'no', name: 'Reject', kind: 'reject_once' }],
      allowed: [{ text: 'it was allowed\n' }], rejected: [{ text: 'it was refused\n' }] } },
    ] },
    { match: 'Take long', steps: [{ text: 'long work begins\n' }, { silence_ms: 600000 }] },
    { match: 'please hurry', steps: [{ text: 'I hurry\n' }, { silence_ms: 600000 }] },
    { match: 'Many lines', steps: [{ flood: { lines: 12000, size: 60 } }, { text: '\nlast line of all\n' }, { silence_ms: 600000 }] },
    { steps: [{ text: 'once more\n' }, { silence_ms: 600000 }] },
  ],
};

let stack, repository, browser, context, page, origin, seen;

before(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
  const script = path.join(stack.dir, 'script.json');
  await writeFile(script, JSON.stringify(SCRIPT));
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '--script', script] } });
  await stack.startWebui();
  origin = `http://localhost:${stack.port}`;
  browser = await openBrowser();
  context = await browser.newContext({ reducedMotion: 'reduce' });
  context.setDefaultTimeout(WAIT);
  seen = watchContext(context, origin);
  page = await context.newPage();
});

after(async () => {
  await browser?.close();
  assert.deepEqual(await stack?.stop(), [], 'processes left behind');
});

const state = (name) => page.locator(`.agent-head [data-state="${name}"]`);
const row = (id) => page.locator(`[data-agent="${id}"]`);
const control = (name) => page.getByRole('group', { name: 'Controls' }).getByRole('button', { name });

async function fill(fields) {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: false }).first().fill(value);
}

// Through the form; returns the new agent's id.
async function create(title, options = async () => {}) {
  await page.getByRole('link', { name: 'New task' }).first().click();
  // A draft that was kept from before may have another branch.
  await fill({ Address: repository, 'Base branch': '', Title: title });
  await page.getByLabel('Manager').uncheck();
  await options();
  await page.getByRole('button', { name: 'Start agent' }).click();
  await page.waitForURL(/\/agents\/\d+$/);
  return Number(new URL(page.url()).pathname.split('/').pop());
}

test('without a session the page explains how to sign in', async () => {
  seen.expected.push(/401/);
  await page.goto(origin);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByLabel('Address or token').fill('nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('not the right one').waitFor();
  await page.getByLabel('Address or token').fill(`${origin}/sign-in?token=${stack.token}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('No agents yet').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  seen.expected.pop();
});

test('the printed address signs in and leaves the address bar', async () => {
  const other = await browser.newContext();
  const fresh = await other.newPage();
  await fresh.goto(`${origin}/sign-in?token=${stack.token}`);
  await fresh.getByText('No agents yet').waitFor({ timeout: WAIT });
  assert.equal(fresh.url(), `${origin}/`);
  await fresh.getByRole('button', { name: 'Menu' }).click({ timeout: WAIT });
  await fresh.getByRole('button', { name: 'Sign out' }).click();
  await fresh.getByRole('heading', { name: 'Sign in' }).waitFor({ timeout: WAIT });
  await other.close();
});

test('bad input is told at its field and changes nothing', async () => {
  await page.getByRole('link', { name: 'New task' }).first().click();
  await page.getByRole('button', { name: 'Start agent' }).click();
  await page.getByText('Give the address of a Git repository').waitFor();
  await page.getByText('Say in a few words').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'repository');

  await fill({ Address: repository, Title: 'Say hello', 'Agents per task': '11' });
  await page.getByRole('button', { name: /^Start/ }).click();
  await page.getByText('A whole number from 1 to 10').waitFor();

  // What only the server knows.
  seen.expected.push(/status of (400|404|409|503)/);
  await fill({ Address: path.join(stack.dir, 'nowhere'), 'Agents per task': '1' });
  await page.getByRole('button', { name: /^Start/ }).click();
  await page.locator('.error, [role="alert"]').filter({ hasText: /nowhere/ }).first().waitFor();
  await fill({ Address: repository, 'Base branch': 'no-such-branch' });
  await page.getByRole('button', { name: /^Start/ }).click();
  await page.locator('.error, [role="alert"]').filter({ hasText: /no-such-branch/ }).first().waitFor();
  seen.expected.pop();

  await page.getByRole('link', { name: '100× board' }).click();
  await page.getByText('No agents yet').waitFor();
  assert.deepEqual((await stack.ask('agent.list')).agents, []);
});

test('a task from the form to its branch, watched live', async () => {
  const id = await create('Say hello');
  await page.getByText('Done with it.').waitFor();
  await state('done').waitFor();
  const log = page.getByRole('log');
  await log.getByText('A file is wanted.').waitFor();
  await log.getByText('Say hello').first().waitFor();
  await page.locator('.agent-figures').getByText('$0.01').waitFor();
  await page.locator('.agent-figures').getByText('+2').waitFor();

  await page.getByRole('tab', { name: /Changes/ }).click();
  await page.locator('.diff-file', { hasText: 'hello.txt' }).locator('.diff-added', { hasText: 'world' }).waitFor();
  await page.getByRole('tab', { name: /Cost/ }).click();
  await page.getByRole('region', { name: 'By turn' }).getByRole('row', { name: /^Turn 1/ }).getByText('1,200').waitFor();
  await page.getByRole('tab', { name: /Details/ }).click();
  await page.locator('.task-card').getByText('main', { exact: true }).waitFor();
  await page.getByRole('tab', { name: /Story/ }).click();
  const turn = page.locator('[data-turn="1"]');
  await turn.getByText('1,234 tok').waitFor();
  await turn.locator('.turn-what', { hasText: 'Say hello' }).waitFor();

  await page.getByRole('navigation').getByRole('link', { name: 'Board' }).click();
  await row(id).locator('[data-state="done"]').waitFor();
  await page.getByRole('region', { name: 'In review' }).waitFor();
});

test('what an agent says never becomes HTML, and it waits for an answer', async () => {
  const id = await create('Be hostile', () => page.getByLabel('Permissions').selectOption('ask'));
  const log = page.getByRole('log');
  await log.getByText('end of it').waitFor();
  await page.getByRole('heading', { name: 'The agent asks' }).waitFor();
  await state('waiting').waitFor();
  await page.waitForFunction(() => document.title === '(1) 100x');
  const text = await log.innerText();
  assert.ok(text.includes('<img src=x onerror="window.owned=1">'), text);
  assert.ok(text.includes('</script><script>window.owned=1</script>'));
  assert.ok(text.includes('red click'), 'escape sequences are gone');
  assert.ok(text.includes('bell␇ backspace␈') && text.includes('bidi‹U+202E›'), 'control characters are visible');
  assert.ok(!/[\u001b\u0007\u0008\u202e]/.test(text));
  assert.ok(text.includes('<b>bold</b> commit'));
  for (const tab of [/Terminal/, /Changes/, /Cost/, /Details/, /Story/]) {
    await page.getByRole('tab', { name: tab }).click();
    assert.equal(await page.locator('main img, main script, main b, main i, main u, main a[href^="javascript"]').count(), 0);
  }
  assert.equal(await page.evaluate(() => window.owned), undefined);

  await page.getByRole('navigation').getByRole('link', { name: 'Board' }).click();
  assert.equal(await page.locator('.group').first().getAttribute('aria-label'), 'Needs you');
  await row(id).getByRole('link', { name: 'Be hostile' }).click();
  await page.getByRole('button', { name: 'Allow <u>once</u>' }).click();
  await log.getByText('it was allowed').waitFor();
  await state('done').waitFor();
  await page.waitForFunction(() => document.title === '100x');
  assert.equal(await page.getByRole('heading', { name: 'The agent asks' }).count(), 0);
});

test('message, interrupt, pause, resume, stop, delete', async () => {
  const id = await create('Take long');
  const log = page.getByRole('log');
  await log.getByText('long work begins').waitFor();
  await state('working').waitFor();
  const message = page.getByLabel(`Message to agent ${id}`);
  await message.fill('please hurry');
  await message.press('Enter');
  await log.locator('.fact-person', { hasText: 'please hurry' }).first().waitFor();
  assert.equal(await message.inputValue(), '');
  await control('Interrupt').click();
  await log.getByText('cancelled', { exact: true }).first().waitFor();
  await log.getByText('I hurry').waitFor();

  await control('Pause').click();
  await state('paused').waitFor();
  await control('Resume').click();
  await state('working').waitFor();
  await control('Stop').click();
  await state('stopped').waitFor();
  assert.equal(await control('Stop').count(), 0);
  assert.ok(await control('Retry').isVisible());

  // Taken back once, then for good: it goes when it can no longer be taken back.
  await control('Delete').click();
  await page.waitForURL(`${origin}/`);
  await row(id).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await row(id).getByRole('link', { name: 'Take long' }).click();
  await control('Delete').click();
  await page.waitForURL(`${origin}/`);
  await row(id).waitFor({ state: 'detached' });
  await stack.until((e) => e.kind === 'deleted' && e.subject === id, 'the agent to be deleted', 30000);
});

test('a flood stays bounded; scrolling up stops the following; earlier lines can be had', async () => {
  const id = await create('Many lines');
  const log = page.getByRole('log');
  await log.getByText('last line of all').waitFor();
  const lines = () => log.evaluate((box) => box.textContent.split('\n').length);
  assert.ok((await lines()) < 7000, `${await lines()} lines in the page`);
  await page.waitForFunction(() => {
    const box = document.querySelector('.log-box');
    return box.scrollHeight - box.scrollTop - box.clientHeight < 48;
  });
  await log.hover();
  await page.mouse.wheel(0, -2000);
  const follow = page.getByRole('button', { name: 'Follow' });
  await follow.waitFor();
  const first = await log.locator('.said pre').first().textContent();
  await log.evaluate((box) => (box.scrollTop = 0));
  await page.getByRole('button', { name: 'Load earlier' }).click();
  await page.waitForFunction((was) => document.querySelector('.log-box .said pre').textContent !== was, first);
  await follow.click();
  await follow.waitFor({ state: 'detached' });
  await stack.ask('agent.delete', { agent: id });
  await page.getByRole('heading', { name: `No agent ${id}` }).waitFor();
});

test('settings: errors at the field, changes are kept', async () => {
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByLabel('Orchestrator', { exact: true }).fill('nonsense');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Give provider/model').waitFor();
  seen.expected.push(/status of 400/);
  await page.getByLabel('Orchestrator', { exact: true }).fill('nobody/model');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('.field', { hasText: 'Orchestrator' }).locator('.error', { hasText: 'nobody' }).waitFor();
  seen.expected.pop();
  await page.getByLabel('Orchestrator', { exact: true }).fill('openai/gpt-4o');
  await page.getByLabel('Extra instructions').fill('Be brief.');
  await page.getByLabel('Agents working at once').fill('3');
  await page.getByLabel('PID namespace of agents').selectOption('off');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  await page.reload();
  await page.waitForFunction(() => document.querySelector('[name=max_working]')?.value === '3');
  assert.equal(await page.getByLabel('Orchestrator', { exact: true }).inputValue(), 'openai/gpt-4o');
  const config = await stack.ask('config.get');
  assert.equal(config.general.instructions, 'Be brief.');
  assert.equal(config.general.max_working, 3);
  assert.equal(config.general.pid_namespace, 'off');
});

test('two tabs share one stream; a lost server is told and nothing is missed', async () => {
  await page.goto(origin);
  await page.getByText('Live', { exact: true }).waitFor();
  const streams = () => seen.requests.filter((url) => url.includes('/api/v1/events')).length;
  const before = streams();
  const second = await context.newPage();
  await second.goto(origin);
  await second.getByText('Live', { exact: true }).waitFor();
  assert.equal(streams(), before, 'the second tab opens no stream of its own');

  seen.expected.push(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|status of 503/);
  stack.webui.kill('SIGKILL');
  await stack.webui.ended;
  for (const tab of [page, second]) await tab.getByText('The connection to the server is lost').waitFor();
  const { tasks } = await stack.ask('task.create', { repository, manager: false, tasks: [{ title: 'Take long' }] });
  const [id] = tasks[0].agents;
  await stack.untilState(id, 'working');
  await stack.startWebui({ port: stack.port });
  for (const tab of [page, second]) {
    await tab.locator(`[data-agent="${id}"] [data-state="working"]`).waitFor();
    await tab.getByText('The connection to the server is lost').waitFor({ state: 'detached' });
  }
  seen.expected.pop();

  // The tab that reads the stream closes: the other takes over.
  await page.close();
  await stack.ask('agent.stop', { agent: id });
  await second.locator(`[data-agent="${id}"] [data-state="stopped"]`).waitFor();
  await second.close();
});

test('no error in the console, no request to another origin', () => {
  assert.deepEqual(seen.wrong, []);
});
