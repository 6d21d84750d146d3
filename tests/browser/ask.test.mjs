// What the page asks the outside world for by way of the server: issues, a split goal,
// whether a model answers, which keys there are; and the view of the server's health.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGithubDouble } from '../support/github_double.mjs';
import { makeRepository, patience, startPracticeModel, startStack } from '../support/stack.mjs';
import { openBrowser, watchContext } from './browser.mjs';

const WAIT = 20000 * patience;
const script = path.join(tmpdir(), `100x-ask-${process.pid}.json`);
let stack, model, github, repository, browser, page, origin, seen;

before(async () => {
  await writeFile(script, JSON.stringify({ rules: [
    { system: 'You plan work for several coding agents', answer: JSON.stringify({ tasks: [
      { title: 'Parse the option', description: 'In main.c.' }, { title: '<b>Document</b> it', description: 'In README.md.' }] }) },
    { user: 'Answer with the one word', answer: 'ready', tokens_in: 12, tokens_out: 1 },
  ], strict: true }));
  model = await startPracticeModel({ script });
  github = await startGithubDouble({ token: 'ghp_of_the_test', repositories: { 'octo/sample': { issues: [
    { number: 7, title: 'It <i>crashes</i>', body: 'Always.', labels: [{ name: 'bug' }, 'plain'] },
    { number: 9, title: 'A wish', body: null, labels: [] }, { number: 5, title: 'Old', state: 'closed', body: null }] } } });
  stack = await startStack({ practice: model.port, env: { GITHUB_TOKEN: 'ghp_of_the_test', GITHUB_API_URL: github.url } });
  repository = await makeRepository(stack.dir);
  await stack.startWebui();
  origin = `http://localhost:${stack.port}`;
  browser = await openBrowser();
  const context = await browser.newContext({ reducedMotion: 'reduce' });
  context.setDefaultTimeout(WAIT);
  seen = watchContext(context, origin);
  page = await context.newPage();
  await page.goto(`${origin}/sign-in?token=${stack.token}`);
  await page.getByText('No agents yet').waitFor();
});

after(async () => {
  await browser?.close();
  assert.deepEqual(await stack?.stop(), [], 'processes left behind');
  await Promise.all([model?.stop(), github?.stop(), rm(script, { force: true })]);
  // The page has the repository looked at as well; the double is no Git server.
  assert.deepEqual(github?.violations.filter((what) => !what.includes('/info/refs')), []);
});

test('issues are picked from; the token stays on the server', async () => {
  await page.goto(`${origin}/new`);
  seen.expected.push(/status of 4\d\d|status of 503/);
  await page.getByLabel('Address').fill(`${github.url}/octo/sample`);
  await page.getByRole('button', { name: 'Load issues' }).click();
  const dialog = page.getByRole('dialog', { name: 'GitHub issues' });
  await dialog.getByText('It <i>crashes</i>').waitFor();
  await dialog.getByText('bug', { exact: true }).waitFor();
  assert.equal(await dialog.locator('i').count(), 0);
  assert.equal(await dialog.getByText('Old').count(), 0);
  await dialog.getByLabel('Filter issues').fill('bug');
  await dialog.getByText('A wish').waitFor({ state: 'detached' });
  await dialog.getByLabel('Filter issues').fill('');
  for (const name of [/#7/, /#9/]) await dialog.getByRole('checkbox', { name }).check();
  await dialog.getByRole('button', { name: 'Add 2 tasks' }).click();
  assert.equal(await page.getByLabel('Title').first().inputValue(), 'It <i>crashes</i>');
  assert.match(await page.getByLabel('Description').first().inputValue(), /^Always\.\n\nIssue: /);
  await page.getByRole('button', { name: 'Start 2 agents' }).waitFor();
  // Loaded twice, nothing comes twice.
  await page.getByRole('button', { name: 'Load issues' }).click();
  await dialog.getByRole('checkbox', { name: /#7/ }).check();
  await dialog.getByRole('button', { name: 'Add 1 task' }).click();
  await page.getByRole('button', { name: 'Start 2 agents' }).waitFor();
  await page.getByRole('button', { name: 'Clear it' }).click();
  await page.getByRole('button', { name: 'Start agent' }).waitFor();

  await page.getByLabel('Address').fill(repository);
  await page.locator('.checked-good').waitFor();
  await page.getByRole('button', { name: 'Load issues' }).click();
  await dialog.getByRole('alert').waitFor();
  await page.keyboard.press('Escape');
  seen.expected.pop();
  assert.ok(!seen.requests.some((url) => url.includes('ghp_')));
});

test('a goal is split into tasks that can be edited', async () => {
  await page.getByRole('button', { name: 'Split a goal' }).click();
  const dialog = page.getByRole('dialog', { name: 'Split a goal' });
  await dialog.getByLabel('At most').fill('0');
  await dialog.getByText('A whole number from 1 to 20').waitFor();
  await dialog.getByLabel('At most').fill('4');
  await dialog.getByLabel('Goal').fill('The option is read and documented.');
  await dialog.getByRole('button', { name: 'Split' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual(await page.getByLabel('Title').evaluateAll((all) => all.map((one) => one.value)), ['Parse the option', '<b>Document</b> it']);
  await page.getByLabel('Title').first().fill('Parse the option well');
  await page.getByRole('button', { name: 'Start 2 agents' }).waitFor();
});

test('a model is tested; keys are present or absent, never shown', async () => {
  await page.goto(`${origin}/settings`);
  await page.getByRole('button', { name: 'Test Orchestrator' }).click();
  await page.getByText(/^Answers in/).waitFor();
  await page.getByLabel('Aider', { exact: true }).fill('anthropic/claude-x');
  await page.getByRole('button', { name: 'Test Aider' }).click();
  await page.locator('.model-result.error').getByText(/ANTHROPIC_API_KEY/).waitFor();
  await page.getByLabel('Aider', { exact: true }).fill('nonsense');
  await page.getByText('Give provider/model').waitFor();
  const keys = page.getByRole('region', { name: 'Keys and tokens' });
  await keys.locator('.key-there', { hasText: 'GITHUB_TOKEN' }).getByText('present').waitFor();
  await keys.locator('li', { hasText: 'ANTHROPIC_API_KEY' }).getByText('absent').waitFor();
  assert.ok(!(await page.content()).includes('ghp_of_the_test'));
  assert.ok(!(await page.content()).includes('practice-key-of-the-test'));
});

test('health: processes, queue, disk, findings', async () => {
  await page.goto(`${origin}/health`);
  await page.getByText('Disk free').waitFor();
  await page.getByRole('rowheader', { name: 'supervisor' }).waitFor();
  await page.getByRole('rowheader', { name: 'webui' }).waitFor();
  await page.getByRole('region', { name: 'Findings' }).locator('.finding').first().waitFor();
});

test('no error in the console, no request to another origin', () => {
  assert.deepEqual(seen.wrong, []);
});
