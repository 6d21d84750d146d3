// What a person sees of the outside world: a slow clone, the pull request of the winner, a
// workspace that is reclaimed and restored; with a real Git server and a double of GitHub.
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { git, seedRepository, startGitHttp } from '../support/git_server.mjs';
import { startGithubDouble } from '../support/github_double.mjs';
import { patience, startStack, support } from '../support/stack.mjs';
import { axe } from './axe.mjs';
import { openBrowser, watchContext } from './browser.mjs';

const WAIT = 20000 * patience;
const token = 'ghp_token_of_the_page_test';
const SCRIPT = { turns: [{ steps: [{ write: { path: 'hello.txt', text: 'hello\nworld\n' } }, { commit: 'Say hello' },
  { write: { path: 'notes.txt', text: 'not committed\n' } }, { text: 'Done with it.\n' }] }] };

let root, server, slow, github, stack, browser, page, origin, seen;

// Lets the first half of a pack through in small pieces, the rest when it is told to.
async function startSlow(to) {
  let open;
  const opened = new Promise((resolve) => { open = resolve; });
  const pieces = async function* (body) {
    const half = Math.floor(body.length / 2);
    for (let at = 0; at < half; at += 24576) {
      yield body.subarray(at, Math.min(half, at + 24576));
      await new Promise((resolve) => { setTimeout(resolve, 40); });
    }
    await opened;
    yield body.subarray(half);
  };
  const proxy = http.createServer((request, response) => {
    const { method, url, headers } = request;
    request.pipe(http.request(new URL(url, to), { method, headers }, async (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      const body = Buffer.concat(await answer.toArray());
      if (body.length < 200000) return response.end(body);
      for await (const piece of pieces(body)) response.write(piece);
      response.end();
    }));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return { url: `http://127.0.0.1:${proxy.address().port}`, open, stop: () => new Promise((resolve) => { proxy.close(resolve); proxy.closeAllConnections(); }) };
}

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), '100x-remote-'));
  server = await startGitHttp({ token, root });
  slow = await startSlow(server.url);
  github = await startGithubDouble({ token, repositories: { 'octo/sample': { defaultBranch: 'main', collaborators: [] } } });
  seedRepository(root, 'octo/sample');
  seedRepository(root, 'octo/large', Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`data/${i}.txt`, randomBytes(6000).toString('base64')])));
  stack = await startStack({ env: { GITHUB_TOKEN: token, GITHUB_API_URL: github.url, HUNDREDX_TOKEN_HOST: '127.0.0.1' } });
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(SCRIPT)] } });
  await stack.startWebui();
  origin = `http://localhost:${stack.port}`;
  browser = await openBrowser();
  const context = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 1360, height: 900 } });
  context.setDefaultTimeout(WAIT);
  seen = watchContext(context, origin);
  page = await context.newPage();
  await page.goto(`${origin}/sign-in?token=${stack.token}`);
  await page.getByText('No agents yet').waitFor();
});

after(async () => {
  await browser?.close();
  slow?.open();
  assert.deepEqual(await stack?.stop(), [], 'processes left behind');
  await Promise.all([server?.stop(), slow?.stop(), github?.stop()]);
  await rm(root, { recursive: true, force: true });
  assert.deepEqual(github?.violations, []);
});

beforeEach(() => page.goto(origin));

const row = (id) => page.locator(`[data-agent="${id}"]`);
const toast = (text) => page.locator('.toast', { hasText: text });

async function create(repository, params = {}) {
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'Say hello' }], manager: false, pull_request: false, ...params });
  return tasks[0];
}

test('a slow clone has a bar that moves, on the board and on the agent; then it is gone', async () => {
  await page.evaluate(() => {
    window.bar = [];
    new MutationObserver(() => {
      for (const bar of document.querySelectorAll('[data-agent] progress')) {
        const now = [bar.getAttribute('aria-label'), bar.value, bar.max].join(' ');
        if (window.bar.at(-1) !== now) window.bar.push(now);
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  const { agents: [id] } = await create(`${slow.url}/octo/large.git`);
  const half = (text) => page.waitForFunction((words) => {
    const [, percent] = new RegExp(`${words} (?:– )?(\\d+) %`).exec(document.querySelector('main').innerText) ?? [];
    return Number(percent) >= 30;
  }, text);
  await half('Fetching the repository');
  const shown = (await page.evaluate(() => window.bar)).filter((one) => one.startsWith('Fetching the repository'))
    .map((one) => one.split(' ').slice(-2).map(Number)).filter(([, total]) => total > 1);
  assert.ok(new Set(shown.map(([done]) => done)).size >= 3, `it moves: ${shown.join(' | ')}`);
  assert.ok(shown.every(([done, total], i) => done <= total && (i === 0 || done >= shown[i - 1][0])), `forward only: ${shown.join(' | ')}`);
  assert.ok(shown.at(-1)[0] < shown.at(-1)[1], 'half of it is held back');
  assert.equal(await row(id).locator('[data-state]').getAttribute('data-state'), 'starting');

  // Who looks later sees how far it is as well.
  await row(id).getByRole('link', { name: 'Say hello' }).click();
  await half('Fetching the repository');
  await page.getByRole('progressbar', { name: 'Fetching the repository' }).waitFor();
  slow.open();
  await page.getByRole('progressbar', { name: 'Fetching the repository' }).waitFor({ state: 'detached' });
  await page.locator('.agent-head [data-state="done"]').waitFor();
  assert.equal(await page.locator('.steps').count(), 0);
});

test('the winner is picked: its pull request is opened, the others leave the board; and back', async () => {
  const { id: task, agents: [first, second] } = await create(`${server.url}/octo/sample.git`, { agents_per_task: 2 });
  for (const id of [first, second]) await stack.untilState(id, 'done', 30000 * patience);
  await page.goto(`${origin}/tasks/${task}`);
  const card = (id) => page.locator(`[data-rival="${id}"]`);
  await card(second).getByRole('button', { name: 'Pick as winner' }).click();
  await toast(`Agent ${second} wins`).waitFor();
  await card(second).getByText('★ winner').waitFor();
  await card(first).getByText('archived').waitFor();
  const link = card(second).getByRole('link', { name: 'Pull request #1' });
  await link.waitFor();
  assert.equal(await link.getAttribute('href'), 'https://github.com/octo/sample/pull/1');
  await card(second).locator('[data-state="done"]').waitFor();
  const { pulls } = github.state();
  assert.deepEqual(pulls.map(({ head }) => head.ref ?? head), [`agent-${second}`]);
  assert.equal(git(path.join(root, 'octo/sample.git'), 'log', '-1', '--format=%s', `agent-${second}`), 'Say hello');

  await page.getByRole('navigation').getByRole('link', { name: 'Board' }).click();
  await row(second).getByRole('link', { name: 'PR #1' }).waitFor();
  assert.equal(await row(first).count(), 0);
  await page.goBack();
  await card(second).getByRole('button', { name: 'Take it back' }).click();
  await page.getByText('★ winner').waitFor({ state: 'detached' });
  await card(first).getByText('archived').waitFor({ state: 'detached' });
  // What was opened stays open, and is not opened again.
  await card(second).getByRole('button', { name: 'Pick as winner' }).click();
  await card(second).getByText('★ winner').waitFor();
  assert.equal(github.state().pulls.length, 1);
  await stack.ask('task.unpick', { task });
});

test('a workspace is reclaimed and restored: from the details, the palette and the board', async () => {
  const { agents: [id, other] } = await create(`${server.url}/octo/sample.git`, { agents_per_task: 2 });
  for (const one of [id, other]) await stack.untilState(one, 'done', 30000 * patience);
  const there = (one) => existsSync(path.join(stack.stateDir, 'workspaces', String(one), 'repo/notes.txt'));
  assert.ok(there(id));
  await page.goto(`${origin}/agents/${id}?tab=details`);
  const workspace = page.getByRole('region', { name: 'Workspace' });
  await workspace.getByRole('button', { name: 'Reclaim workspace' }).click();
  const notice = page.locator('.agent-head .notice', { hasText: 'The workspace was reclaimed' });
  await notice.getByText(`refs/100x/agent-${id}`, { exact: true }).waitFor();
  await workspace.getByText(`refs/100x/agent-${id}`, { exact: true }).waitFor();
  assert.equal(there(id), false);
  assert.deepEqual(await axe(page, 'reclaimed'), []);
  // The same after a fresh load as by the event.
  await page.reload();
  await notice.getByText(`refs/100x/agent-${id}`, { exact: true }).waitFor();
  await notice.getByRole('button', { name: 'Restore workspace' }).click();
  await notice.waitFor({ state: 'detached' });
  assert.ok(there(id));
  await page.getByRole('tab', { name: /Story/ }).click();
  await page.locator('.fact', { hasText: 'removed for its room' }).waitFor();
  await page.locator('.fact', { hasText: 'made again' }).waitFor();

  await page.keyboard.press('Control+k');
  await page.keyboard.type('reclaim work');
  await page.keyboard.press('Enter');
  await notice.waitFor();
  await toast(`#${id} reclaimed`).getByRole('button', { name: 'Undo' }).click();
  await notice.waitFor({ state: 'detached' });

  await page.getByRole('navigation').getByRole('link', { name: 'Board' }).click();
  for (const one of [id, other]) await row(one).getByRole('checkbox').check();
  await page.getByRole('toolbar').getByRole('button', { name: 'Reclaim workspace' }).click();
  await toast('2 agents reclaimed').waitFor();
  assert.ok(!there(id) && !there(other));
  for (const one of [id, other]) await row(one).getByRole('checkbox').check();
  await page.getByRole('toolbar').getByRole('button', { name: 'Restore workspace' }).click();
  await toast('2 agents restored').waitFor();
  assert.ok(there(id) && there(other));
});

test('no error in the console, no request to another origin', () => {
  assert.deepEqual(seen.wrong, []);
});
