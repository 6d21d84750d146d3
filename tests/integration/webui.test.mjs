// The REST interface and signing in, with a real supervisor.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { startGithubDouble } from '../support/github_double.mjs';
import { pageOf } from '../support/page.mjs';
import { deadline, freePort, makeRepository, patience, program, root, run, startPracticeModel, startStack, support } from '../support/stack.mjs';

let folder, stack, repository, model, github, document, validate;
let ask, api, openStream, openWhenFree, create;

before(async () => {
  const advice = [
    { system: 'You plan work for several coding agents', answers: ['No JSON at all.', JSON.stringify({ tasks: [
      { title: 'Parse the option', description: 'In main.c.' }, { title: ' ' }, { title: 'Document it', description: 'In README.md.' }, { title: 'One too many' }] })] },
    { system: 'You judge the work of several coding agents', answer: 'Here: ```json\n' + JSON.stringify({ winner: 1, reasons: 'It works.',
      scores: [{ agent: 1, score: 90, reasons: 'Good.' }, { agent: 77, score: 100 }, { agent: 2, score: 300 }] }) + '\n```' },
    { user: 'Answer with the one word', answer: 'ready', tokens_in: 12, tokens_out: 1 },
  ];
  folder = await mkdtemp(path.join(tmpdir(), '100x-advice-'));
  const script = path.join(folder, 'advice.json');
  await writeFile(script, JSON.stringify({ rules: advice, strict: true }));
  model = await startPracticeModel({ script });
  github = await startGithubDouble({ token: 'ghp_of_the_test', repositories: { 'octo/sample': { issues: [
    { number: 7, title: 'It crashes', body: 'Always.', labels: [{ name: 'bug' }, 'plain'] }, { number: 8, title: 'A pull request', pull_request: { url: null, html_url: null, diff_url: null, patch_url: null } },
    { number: 5, title: 'Old', state: 'closed', body: null }] } } });
  stack = await startStack({ practice: model.port, env: { GITHUB_TOKEN: 'ghp_of_the_test', GITHUB_API_URL: github.url } });
  repository = await makeRepository(stack.dir);
  await stack.startWebui();
  const page = pageOf(stack);
  ({ ask, api, openStream, openWhenFree } = page);
  create = (...args) => page.create(repository, ...args);
  document = JSON.parse(await readFile(path.join(root, 'webui/openapi.json'), 'utf8'));
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema(document, 'api');
  validate = (pointer) => ajv.getSchema(`api#${pointer}`);
});

after(async () => {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
  assert.deepEqual(github.violations, []);
  await Promise.all([model.stop(), github.stop()]);
  await rm(folder, { recursive: true, force: true });
});

// Bytes as they are on the wire; answers what came until the server closed.
async function raw(text) {
  const socket = net.connect(stack.port, '127.0.0.1');
  let got = '';
  socket.setEncoding('utf8').on('data', (chunk) => { got += chunk; }).on('error', () => {});
  await once(socket, 'connect');
  socket.write(text);
  await deadline(once(socket, 'close'), 20000 * patience, 'the server to close');
  return got;
}

const cookieOf = (answer) => answer.headers['set-cookie'][0].split(';')[0];
const by = (cookie) => ({ token: null, headers: { cookie } });

const work = { turns: [{ steps: [{ text: 'Writing <b>.\n' }, { usage: { model: 'openai/x', tokens_in: 10, tokens_out: 2, tokens_cached: 1, dollars: 0.01 } },
  { write: { path: 'hello.txt', text: 'hello\n' } }, { commit: 'Say hello' }] }] };
const busy = { turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 600000 }] }] };

test('the printed URL becomes a cookie, which lasts over a restart until signing out', async () => {
  assert.equal((await stat(path.join(stack.stateDir, 'webui.token'))).mode & 0o777, 0o600);
  const wrong = await ask('GET', `/sign-in?token=${'0'.repeat(64)}`, { token: null });
  assert.equal(wrong.status, 403);
  assert.equal(wrong.headers['set-cookie'], undefined);
  const answer = await ask('GET', `/sign-in?token=${stack.token}`, { token: null });
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, '/');
  const flags = answer.headers['set-cookie'][0].split('; ');
  for (const flag of ['HttpOnly', 'SameSite=Strict', 'Path=/']) assert.ok(flags.includes(flag), flag);
  const cookie = cookieOf(answer);
  const id = cookie.split('=')[1];
  assert.ok(!(await readFile(path.join(stack.stateDir, 'webui.sessions'), 'utf8')).includes(id), 'a session id is stored');
  assert.equal((await api('GET', '/agents', undefined, by(cookie))).status, 200);
  assert.equal((await api('GET', '/agents', undefined, { token: null })).status, 401);
  assert.equal((await api('GET', '/agents', undefined, { token: '0'.repeat(64) })).status, 401);
  assert.equal((await api('GET', '/agents', undefined, by(`${cookie}0`))).status, 401);

  const posted = await api('POST', '/session', { token: stack.token }, by(cookie));
  assert.equal(posted.status, 200);
  assert.notEqual(cookieOf(posted), cookie, 'signing in keeps no session id');

  stack.webui.kill('SIGKILL');
  await stack.webui.ended;
  await stack.startWebui({ port: stack.port });
  assert.equal((await api('GET', '/agents', undefined, by(cookie))).status, 200);
  const stream = openStream('', by(cookie));
  await stream.opened;
  const out = await api('DELETE', '/session', undefined, by(cookie));
  assert.deepEqual(out.json, { signed_in: false });
  assert.equal((await api('GET', '/agents', undefined, by(cookie))).status, 401);
});

test('requests of other sites are refused before anything is done', async () => {
  const host = `localhost:${stack.port}`;
  const value = { repository, tasks: [{ title: 'forged' }] };
  for (const headers of [
    { host: 'evil.example' }, { host: `evil.example:${stack.port}` }, { host: 'localhost' }, { host: `localhost:${stack.port + 1}` },
    { origin: 'http://evil.example' }, { origin: 'null' }, { origin: `http://${host}.evil.example` }, { origin: `http://localhost:${stack.port + 1}` },
    { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' },
  ]) {
    for (const [method, target] of [['POST', '/tasks'], ['DELETE', '/agents/1'], ['POST', '/session'], ['GET', '/agents'], ['GET', '/events']]) {
      const answer = await api(method, target, method === 'POST' ? value : undefined, { headers });
      assert.equal(answer.status, 403, `${method} ${target} ${JSON.stringify(headers)}: ${answer.text}`);
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    }
  }
  const options = await api('OPTIONS', '/tasks', undefined, { headers: { origin: `http://${host}`, 'access-control-request-method': 'POST' } });
  assert.equal(options.status, 405);
  for (const name of Object.keys(options.headers)) assert.ok(!name.startsWith('access-control'), name);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx']) {
    const answer = await api('POST', '/tasks', value, { headers: { 'content-type': type } });
    assert.equal(answer.status, 415, type);
  }
  assert.equal((await api('GET', '/tasks')).json.tasks.length, 0);
  const own = await api('GET', '/agents', undefined, { headers: { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' } });
  assert.equal(own.status, 200);
});

test('every answer carries the security headers', async () => {
  for (const [method, target] of [['GET', '/'], ['GET', '/agents/7'], ['GET', '/nothing.js'], ['GET', '/api/v1/agents'], ['GET', '/api/v1/nothing'], ['POST', '/']]) {
    const { headers } = await ask(method, target);
    assert.match(headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'.*require-trusted-types-for 'script'/);
    assert.ok(!headers['content-security-policy'].includes('unsafe'));
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
  }
});

test('bad bodies and framings are refused with a reason', async () => {
  const json = { 'content-type': 'application/json' };
  const post = (body, headers = json) => ask('POST', '/api/v1/tasks', { body, headers });
  const large = `{"repository":"${'x'.repeat(1 << 20)}"}`;
  // Again and again: the reason is not lost in a reset of the connection.
  for (let i = 0; i < 20; i++) assert.equal((await post(large)).status, 413);
  const chunked = await raw(`POST /api/v1/tasks HTTP/1.1\r\nHost: localhost:${stack.port}\r\nAuthorization: Bearer ${stack.token}\r\n` +
    `Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`);
  assert.match(chunked, /^HTTP\/1\.1 413 /);
  const both = await raw(`POST /api/v1/tasks HTTP/1.1\r\nHost: localhost:${stack.port}\r\nAuthorization: Bearer ${stack.token}\r\n` +
    'Content-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n');
  assert.match(both, /^HTTP\/1\.1 400 /);
  assert.match(await raw(`GET /api/v1/agents HTTP/1.1\r\nHost: localhost:${stack.port}\r\nHost: localhost:${stack.port}\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400 /);
  assert.match(await raw(`GET / HTTP/1.1\r\nHost: localhost:${stack.port}\r\nX: ${'y'.repeat(64 << 10)}\r\n\r\n`), /^HTTP\/1\.1 4\d\d |^$/);
  // civetweb reads 64 headers: what comes behind could be an Origin.
  assert.match(await raw(`GET / HTTP/1.1\r\nHost: localhost:${stack.port}\r\n${'X: y\r\n'.repeat(64)}Origin: http://evil.example\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await raw('\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'), /^HTTP\/1\.1 400 |^$/);

  const broken = await post('{"repository":"x",}');
  assert.equal(broken.status, 400);
  assert.match(broken.json.error.message, /byte 18/);
  const unknown = await post(JSON.stringify({ repository, tasks: [{ title: 'x' }], colour: 'red' }));
  assert.equal(unknown.status, 400);
  assert.equal(unknown.json.error.field, 'colour');
  const many = await post(JSON.stringify({ repository, tasks: [{ title: 'x' }], agents_per_task: 11 }));
  assert.equal(many.status, 400);
  assert.equal(many.json.error.field, 'agents_per_task');
  for (const target of ['/agents?state=asleep', '/agents?colour=red', '/agents?task=x', '/agents/1/events?limit=0', '/agents/1/events?kinds=x;y', '/status?x=1']) {
    assert.equal((await api('GET', target)).status, 400, target);
  }
  assert.equal((await api('GET', '/tasks')).json.tasks.length, 0);
});

test('paths never leave the table of files', async () => {
  for (const target of ['/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/..%2f..%2fetc/passwd', '//etc/passwd', '/.env', '/index.html%00.js', '/a\\..\\b', '/api/v1/../../etc/passwd']) {
    const answer = await ask('GET', target);
    assert.ok([400, 404].includes(answer.status), `${target}: ${answer.status}`);
    assert.ok(!answer.text.includes('root:'));
  }
});

// Checks an answer against the description and remembers which operation it was.
const covered = new Set();
function described(method, template, answer) {
  const operation = document.paths[template][method.toLowerCase()];
  let pointer = `/paths/${template.replaceAll('~', '~0').replaceAll('/', '~1')}/${method.toLowerCase()}/responses/${answer.status}`;
  let response = operation.responses[answer.status];
  assert.ok(response, `${method} ${template}: ${answer.status} is not described: ${answer.text}`);
  if (response.$ref) pointer = response.$ref.slice(1);
  const check = validate(encodeURI(`${pointer}/content/application~1json/schema`));
  assert.ok(check(answer.json), `${method} ${template}: ${JSON.stringify(check.errors)} ${answer.text}`);
  covered.add(operation.operationId);
  return answer;
}

test('every route answers as its description says', async () => {
  const call = async (method, template, { id, value, query = '', status = 200, headers } = {}) => {
    const answer = described(method, template, await api(method, template.replace('{id}', id) + query, value, { headers }));
    assert.equal(answer.status, status, `${method} ${template}: ${answer.text}`);
    return answer.json;
  };
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(work)] } });
  const key = { 'idempotency-key': 'once-only' };
  const value = { repository, tasks: [{ title: 'change it', description: 'Write.' }], manager: false };
  const created = await call('POST', '/tasks', { value, status: 201, headers: key });
  const again = await call('POST', '/tasks', { value, status: 201, headers: key });
  assert.deepEqual(again, created, 'the same key creates once');
  const { id: task, agents: [agent] } = created.tasks[0];
  assert.equal((await call('GET', '/tasks')).tasks.length, 1);
  assert.equal((await call('GET', '/tasks/{id}', { id: task })).agents[0].id, agent);
  await stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'its worker to end', 30000, { agent });

  assert.equal((await call('GET', '/status')).supervisor, true);
  assert.equal((await call('GET', '/agents')).agents.length, 1);
  assert.equal((await call('GET', '/agents', { query: `?state=done,failed&task=${task}` })).agents.length, 1);
  assert.equal((await call('GET', '/agents', { query: '?state=working' })).agents.length, 0);
  const shown = await call('GET', '/agents/{id}', { id: agent });
  assert.equal(shown.state, 'done');
  assert.equal(shown.task.id, task);
  const { turns } = await call('GET', '/agents/{id}/turns', { id: agent });
  assert.equal(turns.length, 1);
  assert.equal(turns[0].tokens_in, 10);
  const diff = await call('GET', '/agents/{id}/diff', { id: agent });
  assert.deepEqual(diff.files.map((f) => [f.path, f.status]), [['hello.txt', 'added']]);
  const usage = await call('GET', '/agents/{id}/usage', { id: agent });
  assert.equal(usage.total.tokens_out, 2);
  assert.equal(usage.models[0].model, 'openai/x');

  const all = await call('GET', '/agents/{id}/events', { id: agent, query: '?after=0&limit=1000' });
  const ids = all.events.map((e) => e.id);
  assert.deepEqual(ids, (await stack.events(agent)).map((e) => e.id));
  assert.equal(all.more, false);
  assert.ok(all.events.some((e) => e.kind === 'output' && e.body.text.includes('Writing <b>')));
  const tail = await call('GET', '/agents/{id}/events', { id: agent, query: '?limit=3' });
  assert.deepEqual(tail.events.map((e) => e.id), ids.slice(-3));
  assert.equal(tail.more, true);
  const earlier = await call('GET', '/agents/{id}/events', { id: agent, query: `?limit=2&before=${tail.first}` });
  assert.deepEqual(earlier.events.map((e) => e.id), ids.slice(-5, -3));
  const small = await call('GET', '/agents/{id}/events', { id: agent, query: '?bytes=1' });
  assert.deepEqual(small.events.map((e) => e.id), ids.slice(-1), 'bounded in bytes, but one at least');
  assert.equal(small.more, true);
  const states = await call('GET', '/agents/{id}/events', { id: agent, query: '?after=0&kinds=state' });
  assert.ok(states.events.length && states.events.every((e) => e.kind === 'state'));

  const running = await create(busy);
  await stack.until((e) => e.kind === 'output' && e.body.text?.includes('started'), 'the agent to start', 30000, { agent: running });
  const live = await call('GET', '/agents/{id}/process', { id: running });
  assert.equal(live.worker.pid, live.processes[0].pid);
  assert.ok(live.processes.some((p) => p.name === 'scripted_agent' && p.rss_bytes > 0 && Math.abs(Date.now() - p.started_at) < 60000), JSON.stringify(live));
  assert.deepEqual((await call('GET', '/agents/{id}/process', { id: agent })).processes, []);
  const health = await call('GET', '/health');
  assert.deepEqual(health.processes.map((p) => p.what), ['supervisor', 'webui', 'worker']);
  assert.equal(health.processes[2].agent, running);
  assert.ok(health.findings.some((f) => f.level === 'ok' && f.what === `port: the page runs on port ${stack.port}`), JSON.stringify(health.findings));
  assert.ok(health.disk.state_bytes > 0 && health.findings.some((f) => f.level === 'ok'), JSON.stringify(health));
  await call('POST', '/agents/{id}/tell', { id: running, value: { text: 'hello' } });
  assert.deepEqual((await call('POST', '/agents/all/tell', { value: { text: 'hello all' } })).agents, [running]);
  await call('POST', '/agents/{id}/interrupt', { id: running });
  await call('POST', '/agents/{id}/pause', { id: running, value: {} });
  await stack.untilState(running, 'paused');
  await call('POST', '/agents/{id}/resume', { id: running });
  await call('POST', '/agents/{id}/finish', { id: running });
  await call('POST', '/agents/{id}/stop', { id: running });
  await stack.untilState(running, ['stopped', 'done']);

  const output = await call('GET', '/agents/{id}/output', { id: agent });
  assert.deepEqual(output.events.map((e) => e.id), all.events.filter((e) => e.kind === 'output').map((e) => e.id));
  const { hits } = await call('GET', '/agents/{id}/search', { id: agent, query: '?q=WRITING%20%3Cb' });
  assert.deepEqual(hits.map((h) => h.text), ['Writing <b>.']);
  assert.equal(shown.lines, output.lines);

  await call('POST', '/agents/{id}/archive', { id: running });
  assert.ok(!(await call('GET', '/agents')).agents.some((a) => a.id === running));
  assert.ok((await call('GET', '/agents', { query: '?archived=true' })).agents.find((a) => a.id === running).archived);
  await call('POST', '/agents/{id}/unarchive', { id: running });
  assert.ok((await call('GET', '/agents')).agents.some((a) => a.id === running));
  await call('POST', '/agents/{id}/archive', { id: running });

  await stack.until((e) => e.kind === 'worker' && e.body.phase === 'ended', 'its worker to end', 30000, { agent: running });
  const { saved } = await call('POST', '/agents/{id}/reclaim', { id: running });
  assert.equal((await call('GET', '/agents/{id}', { id: running })).saved, saved);
  assert.ok(existsSync((await call('POST', '/agents/{id}/restore', { id: running })).path));

  const { repositories } = await call('GET', '/repositories');
  assert.deepEqual(repositories.map((r) => [r.repository, r.base, r.tasks]), [[repository, 'main', 2]]);
  const { rows } = await call('GET', '/costs');
  assert.deepEqual(rows.map((r) => [r.model, r.calls, r.tokens_in, r.dollars]), [['openai/x', 1, 10, 0.01]]);
  assert.equal((await call('GET', '/costs', { query: '?to=1000' })).rows.length, 0);
  const activity = await call('GET', '/activity', { query: `?agent=${agent}` });
  assert.ok(activity.events.every((e) => e.kind !== 'output' && e.subject === agent));
  assert.deepEqual(activity.events.map((e) => e.id), ids.filter((id) => all.events.find((e) => e.id === id).kind !== 'output').reverse());
  const worker = activity.events.filter((e) => e.kind === 'worker').map((e) => e.body);
  assert.deepEqual(worker.map((b) => [b.phase, b.code]), [['ended', 0], ['started', undefined]]);
  assert.equal(worker[0].pid, worker[1].pid);
  const some = await call('GET', '/activity', { query: `?task=${task}&kinds=state,created&limit=2` });
  assert.equal(some.more, true);
  assert.equal(some.events[0].body.state, 'done');
  const older = await call('GET', '/activity', { query: `?task=${task}&kinds=created&before=${some.events[1].id}` });
  assert.deepEqual(older.events.map((e) => e.stream), ['agent', 'task']);
  await call('GET', '/activity', { query: '?kinds=output', status: 400 });

  const stopped = await create(busy);
  await stack.untilState(stopped, 'working');
  await call('POST', '/agents/{id}/archive', { id: stopped, status: 409 });
  await call('POST', '/agents/{id}/stop', { id: stopped });
  await stack.untilState(stopped, 'stopped');
  await call('POST', '/agents/{id}/retry', { id: stopped });
  await call('DELETE', '/agents/{id}', { id: stopped, query: '?discard=maybe', status: 400 });
  await call('DELETE', '/agents/{id}', { id: stopped, query: '?force=true', status: 400 });
  await call('DELETE', '/agents/{id}', { id: stopped });
  await call('GET', '/agents/{id}', { id: stopped, status: 404 });
  // Whose work cannot be saved stays, unless that is wanted.
  const unsaved = await create(busy);
  await stack.until((e) => e.kind === 'output' && e.body.text?.includes('started'), 'the agent to start', 30000, { agent: unsaved });
  await call('POST', '/agents/{id}/stop', { id: unsaved });
  await stack.untilState(unsaved, 'stopped');
  await rm(path.join(stack.stateDir, 'workspaces', String(unsaved), 'repo/.git/HEAD'));
  assert.match((await call('DELETE', '/agents/{id}', { id: unsaved, status: 409 })).error.message, /could not be saved.*discard/);
  await call('GET', '/agents/{id}', { id: unsaved });
  await call('DELETE', '/agents/{id}', { id: unsaved, query: '?discard=true' });
  await call('GET', '/agents/{id}', { id: unsaved, status: 404 });

  const asking = await create({ turns: [{ steps: [{ permission: { title: 'May I?' } }] }] }, { permission: 'ask' });
  const asked = await stack.until((e) => e.kind === 'permission' && e.body.status === 'asked' && e.body, 'the question', 30000, { agent: asking });
  await call('POST', '/agents/{id}/permission', { id: asking, value: { permission: asked.id, option: asked.options[0].id } });
  await stack.untilState(asking, 'done');

  const looked = await call('POST', '/repositories/check', { value: { repository } });
  assert.deepEqual([looked.base, looked.default, looked.branches], ['main', 'main', ['main']]);
  await call('POST', '/repositories/check', { value: { repository, base: 'nope' }, status: 404 });
  const issues = await call('POST', '/repositories/issues', { value: { repository: `${github.url}/octo/sample` } });
  assert.deepEqual(issues.issues.map((i) => [i.number, i.title, i.body, i.labels]), [[7, 'It crashes', 'Always.', ['bug', 'plain']]]);
  assert.deepEqual((await call('POST', '/repositories/issues', { value: { repository: `${github.url}/octo/sample`, state: 'closed' } })).issues.map((i) => i.number), [5]);
  await call('POST', '/repositories/issues', { value: { repository: `${github.url}/octo/none` }, status: 404 });
  await call('POST', '/repositories/issues', { value: { repository }, status: 400 });
  const tried = await call('POST', '/models/test', { value: { model: 'openai/practice' } });
  assert.deepEqual([tried.ok, tried.text, tried.provider], [true, 'ready', 'openai']);
  const keyless = await call('POST', '/models/test', { value: { model: 'anthropic/claude-x' } });
  assert.equal(keyless.ok, false);
  assert.match(keyless.error, /ANTHROPIC_API_KEY/);
  await call('POST', '/models/test', { value: { model: 'nobody/x' }, status: 400 });
  const { keys } = await call('GET', '/keys');
  assert.equal(new Set(keys.map((k) => k.name)).size, keys.length, 'each key once');
  assert.deepEqual(keys.filter((k) => k.present).map((k) => k.name), ['OPENAI_API_KEY', 'GITHUB_TOKEN']);
  const split = await call('POST', '/goals/split', { value: { repository, goal: 'Read an option.', tasks: 2 }, headers: { 'idempotency-key': 'split' } });
  assert.deepEqual(split.tasks.map((t) => t.title), ['Parse the option', 'Document it']);
  assert.deepEqual(await call('POST', '/goals/split', { value: { repository, goal: 'Read an option.', tasks: 2 }, headers: { 'idempotency-key': 'split' } }), split);
  const judged = await call('POST', '/tasks/{id}/judge', { id: task });
  assert.deepEqual([judged.winner, judged.reasons, judged.scores], [agent, 'It works.', [{ agent, score: 90, reasons: 'Good.' }]]);
  const shownTask = await call('GET', '/tasks/{id}', { id: task });
  assert.equal(shownTask.judgement.winner, agent);
  assert.equal(shownTask.winner, null);
  assert.deepEqual((await call('GET', '/costs')).rows.filter((r) => r.role === 'orchestrator').map((r) => r.calls), [2]);

  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(busy)] } });
  const { id: race, agents: [first, second, third] } = (await call('POST', '/tasks', { value: { ...value, agents_per_task: 3 }, status: 201 })).tasks[0];
  await stack.untilState(second, 'working');
  await call('POST', '/agents/{id}/stop', { id: third });
  await stack.untilState(third, 'stopped');
  const picked = await call('POST', '/tasks/{id}/pick', { id: race, value: { agent: first } });
  assert.deepEqual(picked, { winner: first, archived: [third], stopped: [second], opens_pull_request: false });
  await stack.until((e) => e.kind === 'archive' && e.subject === second, 'the loser to step back');
  await call('POST', '/tasks/{id}/pick', { id: race, value: { agent: second }, status: 409 });
  await call('POST', '/tasks/{id}/pick', { id: race, value: { agent }, status: 400 });
  assert.deepEqual((await call('GET', '/agents', { query: `?task=${race}` })).agents.map((a) => a.id), [first]);
  assert.equal((await call('GET', '/tasks/{id}', { id: race })).winner, first);
  assert.deepEqual(await call('POST', '/tasks/{id}/unpick', { id: race }), { unarchived: [second, third] });
  assert.equal((await call('GET', '/agents', { query: `?task=${race}` })).agents.length, 3);
  await call('POST', '/tasks/{id}/unpick', { id: race, status: 409 });
  await call('POST', '/agents/{id}/stop', { id: first });

  const config = await call('GET', '/config');
  const changed = await call('PATCH', '/config', { value: { general: { instructions: 'Be kind.' } } });
  assert.equal(changed.general.instructions, 'Be kind.');
  assert.deepEqual(changed.models, config.models);
  await call('PATCH', '/config', { value: { general: { limit_turns: -1, instructions: 'x' } }, status: 400 });
  assert.equal((await call('GET', '/config')).general.instructions, 'Be kind.');
  assert.deepEqual(await call('GET', '/openapi.json'), document);
  await call('GET', '/session');
  await call('POST', '/session', { value: { token: stack.token } });
  await call('DELETE', '/session');
  covered.add('events'); // its own tests below

  for (const [template, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (method === 'parameters') continue;
      assert.ok(covered.has(operation.operationId), `${method} ${template} was not asked`);
      if (template.includes('{id}')) {
        const fields = operation.requestBody?.content['application/json'].schema.properties ?? {};
        const body = operation.requestBody && Object.fromEntries(Object.entries(fields).map(([name, { type }]) => [name, type === 'integer' ? 1 : 'x']));
        const needed = operation.parameters?.filter((p) => p.in === 'query' && p.required).map((p) => `${p.name}=x`).join('&');
        const answer = described(method.toUpperCase(), template, await api(method.toUpperCase(), template.replace('{id}', 999) + (needed ? `?${needed}` : ''), body));
        assert.equal(answer.status, 404, `${method} ${template}: ${answer.text}`);
      }
    }
  }
});

test('five hundred connections that never end their request keep nobody waiting', async () => {
  const slow = await Promise.all(Array.from({ length: 500 }, async () => {
    const socket = net.connect(stack.port, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    socket.write(`GET / HTTP/1.1\r\nHost: localhost:${stack.port}\r\nX: `);
    return socket;
  }));
  for (let i = 0; i < 10; i++) {
    const answer = await deadline(api('GET', '/agents'), 2000 * patience, 'an answer beside slow requests');
    assert.equal(answer.status, 200);
  }
  for (const socket of slow) socket.destroy();
});

test('without a supervisor reads go on and changes say why not', async () => {
  stack.supervisor.kill('SIGTERM');
  await stack.supervisor.ended;
  const agents = await api('GET', '/agents');
  assert.equal(agents.status, 200);
  assert.ok(agents.json.agents.length > 0);
  const status = described('GET', '/status', await api('GET', '/status'));
  assert.equal(status.json.supervisor, false);
  assert.equal(described('GET', '/config', await api('GET', '/config')).status, 200);
  const refused = await api('POST', '/agents/1/tell', { text: 'hello' });
  assert.equal(refused.status, 503);
  assert.match(refused.json.error.message, /supervisor does not run.*100x up/);
  const stream = await openWhenFree();
  await stack.startSupervisor();
  const changed = await api('PATCH', '/config', { general: { instructions: 'Again.' } });
  assert.equal(changed.status, 200, changed.text);
  await stream.until((e) => e.kind === 'config', 'an event of the new supervisor');
  stream.close();
});

test('a taken port, an open bind and wrong options are explained', async () => {
  const base = ['--state-dir', stack.stateDir, '--run-dir', stack.runDir];
  const taken = await run(program('100x-webui'), [...base, '--port', String(stack.port)], { env: stack.env });
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, new RegExp(`port ${stack.port} is in use by 100x-webui \\(pid ${stack.webui.pid}\\).*--port`));
  const open = await run(program('100x-webui'), [...base, '--bind', '0.0.0.0'], { env: stack.env });
  assert.equal(open.code, 2);
  assert.match(open.stderr, /--behind-proxy/);
  assert.equal((await run(program('100x-webui'), ['--port', '0'], { env: stack.env })).code, 2);
});

test('behind a proxy: its name, its https origin and a Secure cookie', async () => {
  const port = await freePort();
  const child = stack.spawnProgram('100x-webui', ['--port', String(port), '--behind-proxy', '--allow-host', 'agents.example']);
  while (!child.log.includes('/sign-in?token=')) await once(child.stdout, 'data');
  assert.match(child.log, new RegExp(`https://agents.example/sign-in\\?token=${stack.token}`));
  const headers = { host: 'agents.example', origin: 'https://agents.example' };
  const answer = await api('POST', '/session', { token: stack.token }, { port, headers, token: null });
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers['set-cookie'][0], /; Secure/);
  assert.equal((await api('POST', '/session', { token: stack.token }, { port, headers: { host: 'other.example' } })).status, 403);
  child.kill('SIGTERM');
  assert.deepEqual(await child.ended, { code: 0, signal: null });
});

// Last: it locks out tokens for a while.
test('guessing tokens is slowed', async () => {
  const statuses = [];
  for (let i = 0; i < 12; i++) statuses.push((await api('POST', '/session', { token: `${i}`.repeat(32) }, { token: null })).status);
  assert.equal(statuses[0], 401);
  const last = await api('POST', '/session', { token: stack.token }, { token: null });
  assert.equal(last.status, 429);
  assert.ok(Number(last.headers['retry-after']) > 0);
});
