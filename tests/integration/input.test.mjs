// Bad input gets a clear error and changes nothing.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { git, makeRepository, program, run, startStack, support } from '../support/stack.mjs';

let stack, repository;

before(async () => {
  stack = await startStack({ agentCommand: [support('scripted_agent')] });
  repository = await makeRepository(stack.dir);
});

after(async () => {
  assert.deepEqual(await stack.stop(), []);
});

const task = (changes = {}) => ({ repository, tasks: [{ title: 'one' }], manager: false, ...changes });

// What a user could notice of a change: tasks, agents, configuration, newest event.
async function everything() {
  const [tasks, agents, config, status] = [await stack.ask('task.list'), await stack.ask('agent.list'),
    await stack.ask('config.get'), await stack.ask('status')];
  return JSON.stringify([tasks, agents, config, status.last_event]);
}

async function refuses(method, params, kind, words) {
  const was = await everything();
  await assert.rejects(stack.ask(method, params), (error) => {
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, words);
    return true;
  });
  assert.equal(await everything(), was, 'something changed');
}

test('task.create: fields', async () => {
  await refuses('task.create', { tasks: [{ title: 'x' }] }, 'invalid', /repository/);
  await refuses('task.create', task({ tasks: [] }), 'invalid', /tasks/);
  await refuses('task.create', task({ tasks: [{ title: '' }] }), 'invalid', /title/);
  await refuses('task.create', task({ tasks: [{ title: '  \n' }] }), 'invalid', /title/);
  await refuses('task.create', task({ tasks: [{ title: 7 }] }), 'invalid', /title/);
  await refuses('task.create', task({ tasks: [{ title: 'x', colour: 'red' }] }), 'invalid', /colour/);
  await refuses('task.create', task({ agents_per_task: 0 }), 'invalid', /agents_per_task/);
  await refuses('task.create', task({ agents_per_task: 1001 }), 'invalid', /agents_per_task/);
  await refuses('task.create', task({ agents_per_task: 1.5 }), 'invalid', /agents_per_task/);
  await refuses('task.create', task({ agnets: 3 }), 'invalid', /agnets/);
  await refuses('task.create', task({ limits: { turns: 0 } }), 'invalid', /turns/);
  await refuses('task.create', task({ limits: { dollars: -1 } }), 'invalid', /dollars/);
  await refuses('task.create', task({ permission: 'perhaps' }), 'invalid', /permission/);
  await refuses('task.create', task({ models: { agent: 'nosuch/model' } }), 'invalid', /nosuch/);
});

test('task.create: repositories', async () => {
  const empty = path.join(stack.dir, 'empty');
  await git(stack.dir, 'init', '-q', '-b', 'main', empty);
  const folder = path.join(stack.dir, 'folder');
  await mkdir(folder);
  for (const [url, kind, words] of [
    ['', 'invalid', /repository/],
    ['not a url', 'invalid', /repository|URL/i],
    ['ext::sh -c touch% /tmp/x', 'invalid', /ext|scheme|URL/i],
    ['ftp://example.org/a/b', 'invalid', /ftp|scheme/i],
    ['--upload-pack=/bin/sh', 'invalid', /URL|repository|-/i],
    ['git@-oProxyCommand=x:a/b', 'invalid', /host/],
    ['https://user:secret@example.org/a/b', 'invalid', /password|user/i],
    ['https://127.0.0.1:1/a/b.git', 'unavailable', /127\.0\.0\.1/],
    [path.join(stack.dir, 'nowhere'), /not_found|invalid|unavailable/, /nowhere/],
    [folder, 'invalid', /not a (git )?repository/i],
    [empty, 'invalid', /empty/],
  ]) {
    const was = await everything();
    await assert.rejects(stack.ask('task.create', task({ repository: url })), (error) => {
      if (kind instanceof RegExp) assert.match(error.kind, kind, url);
      else assert.equal(error.kind, kind, `${url}: ${error.message}`);
      assert.match(error.message, words, url);
      assert.ok(!error.message.includes('secret@'), 'a password is not repeated');
      return true;
    });
    assert.equal(await everything(), was, url);
  }
  await refuses('task.create', task({ base: 'nosuch' }), 'not_found', /nosuch.*main|main.*nosuch/s);
});

test('control: broken requests', async () => {
  for (const [text, code] of [
    ['{', -32700], ['[]', -32600], ['{"jsonrpc":"1.0","id":"a","method":"status"}', -32600],
    ['{"jsonrpc":"2.0","id":"a","method":"nosuch"}', -32601],
    ['{"jsonrpc":"2.0","id":"a","method":"agent.list","params":{"sate":"done"}}', -32602],
  ]) {
    const { stdout } = await run('nngcat', ['--req0', '--dial', stack.url('control.ipc'), '--raw',
      '--recv-timeout', '20', '--async', '--data', text]);
    assert.equal(JSON.parse(stdout).error.code, code, text);
  }
  const big = path.join(stack.dir, 'big.json');
  await writeFile(big, JSON.stringify({ jsonrpc: '2.0', id: 'b', method: 'agent.tell', params: { agent: 1, text: 'x'.repeat(1100000) } }));
  const { stdout } = await run('nngcat', ['--req0', '--dial', stack.url('control.ipc'), '--raw',
    '--recv-timeout', '20', '--async', '--file', big]);
  assert.match(JSON.parse(stdout).error.message, /1 MiB|1048576|long|large/i);
  assert.ok(await stack.ask('status'), 'the supervisor goes on');
});

test('agents and configuration', async () => {
  for (const method of ['show', 'interrupt', 'pause', 'resume', 'stop', 'finish', 'retry', 'delete']) {
    await refuses(`agent.${method}`, { agent: 4711 }, 'not_found', /4711/);
  }
  await refuses('agent.tell', { agent: 4711, text: 'hello' }, 'not_found', /4711/);
  await refuses('agent.show', { agent: 'seven' }, 'invalid', /agent/);
  await refuses('config.set', { models: { agent: 'nosuch/model' } }, 'invalid', /nosuch/);
  await refuses('config.set', { models: { poet: 'openai/x' } }, 'invalid', /poet/);
  await refuses('config.set', { general: { max_working: 0 } }, 'invalid', /max_working/);
  await refuses('config.set', { general: { agent_command: ['/bin/true', 1] } }, 'invalid', /agent_command: should be a list/);
  await refuses('config.set', { general: { agent_command: ['/bin/true', 'x'.repeat(4097)] } }, 'invalid', /agent_command: .* 4097 bytes, at most 4096/);
  await refuses('config.set', { general: { nosuch: 1 } }, 'invalid', /nosuch/);
  // One good and one bad value: neither is taken.
  await refuses('config.set', { general: { limit_turns: 7, permission: 'maybe' } }, 'invalid', /permission/);
});

test('aider arguments that would break the adapter', async () => {
  const config = await stack.ask('config.get');
  await stack.ask('config.set', { general: { agent_command: [] } });
  for (const [text, words] of [['--message hello', /--message/], ['--no-such-thing', /no-such-thing/],
    ['--openai-api-key x', /api-key/], ["'unclosed", /quot/i]]) {
    await assert.rejects(stack.ask('task.create', task({ aider_arguments: text })), words, text);
  }
  await stack.ask('config.set', { general: { agent_command: config.general.agent_command } });
  assert.deepEqual((await stack.ask('task.list')).tasks, []);
});

test('a second supervisor on the same state directory', async () => {
  const second = stack.spawnProgram('100x-supervisor', []);
  const { code } = await second.ended;
  assert.notEqual(code, 0);
  assert.match(second.log, new RegExp(`${stack.supervisor.pid}`), 'names who holds it');
  assert.ok(await stack.ask('status'), 'the first goes on');
});

test('a store that is not ours or newer is refused untouched', async () => {
  for (const [name, sql, words] of [
    ['foreign', 'CREATE TABLE recipes(x); PRAGMA user_version=3;', /not ours|not a .*(store|database)|another program/i],
    ['newer', 'PRAGMA application_id=825241720; PRAGMA user_version=99; CREATE TABLE t(x);', /newer/i],
  ]) {
    const state = path.join(stack.dir, name);
    await mkdir(state, { recursive: true, mode: 0o700 });
    const db = path.join(state, 'tasks.db');
    const made = await run('sqlite3', [db, sql]);
    assert.equal(made.code, 0, made.stderr);
    const was = await readFile(db);
    const result = await run(program('100x-supervisor'),
      ['--state-dir', state, '--run-dir', path.join(state, 'run')], { env: stack.env, timeout: 20000 });
    assert.notEqual(result.code, 0);
    assert.ok(!result.signal, 'it ended by itself');
    assert.match(result.stderr, words);
    assert.deepEqual(await readFile(db), was, 'the file is as it was');
  }
});

test('a state directory that cannot be written', async () => {
  // root may write anywhere, so the obstacle is a file where a folder must be.
  const obstacle = path.join(stack.dir, 'obstacle');
  await writeFile(obstacle, '');
  const result = await run(program('100x-supervisor'),
    ['--state-dir', path.join(obstacle, 'state'), '--run-dir', path.join(stack.dir, 'run2')], { env: stack.env, timeout: 20000 });
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /obstacle/);
});

test('a run directory open to others is refused', async () => {
  const open = path.join(stack.dir, 'open');
  await mkdir(open);
  await chmod(open, 0o777);
  const result = await run(program('100x-supervisor'),
    ['--state-dir', path.join(stack.dir, 'state3'), '--run-dir', open], { env: stack.env, timeout: 20000 });
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /open/);
});
