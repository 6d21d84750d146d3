// Cancel, resume after a kill, and what a start takes.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { deadline, patience, run } from '../support/stack.mjs';
import { commitRule, makeWorld, notices, texts, tools, usages, whole } from './adapter.mjs';

const slow = { user: 'slowly', answer: 'one two three four five '.repeat(40), chunk_ms: 50, chunk_bytes: 8 };

test('cancel while the model streams: at once, and the session goes on', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [slow, { answer: 'Yes.' }] });
  const adapter = await world.adapter().start();
  const turn = adapter.prompt('answer slowly');
  await adapter.until((u) => u.sessionUpdate === 'agent_message_chunk', 'the first text');
  const began = Date.now();
  adapter.cancel();
  const { result, updates } = await turn;
  assert.deepEqual(result, { stopReason: 'cancelled' });
  assert.ok(Date.now() - began < 1000 * patience, `cancelled in ${Date.now() - began} ms`);
  const [usage] = usages(updates);
  assert.ok(usage.estimated && usage.tokens_in > 0 && usage.tokens_out > 0, 'what had come is counted');
  const next = await adapter.prompt('and now?');
  assert.deepEqual(next.result, { stopReason: 'end_turn' });
  assert.equal(texts(next.updates), 'Yes.');
  await adapter.stop();
});

test('cancel while the model is silent, while aider waits to try again, while a command runs', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [
    { user: 'silence', fault: 'hang' }, { user: 'again', status: 503 }, { answer: 'Yes.' }] });
  const adapter = await world.adapter().start();
  for (const [text, sign] of [
    ['silence', null],
    ['again', (u) => /Retrying in 1/.test(u.content?.text ?? '')],
    ['/run echo $$ > pid; sleep 1000 & sleep 1000', (u) => u.sessionUpdate === 'tool_call' && u.kind === 'execute'],
  ]) {
    const turn = adapter.prompt(text);
    if (sign) await adapter.until(sign, text);
    else await deadline((async () => { while (!(await world.asked().catch(() => [])).length) await new Promise(setImmediate); })(), 30000 * patience, 'the question');
    if (text.startsWith('/run')) await deadline((async () => { while (!existsSync(path.join(world.repository, 'pid')) || !readFileSync(path.join(world.repository, 'pid'), 'utf8')) await new Promise(setImmediate); })(), 5000, 'pid');
    const began = Date.now();
    adapter.cancel();
    const { result, updates } = await turn;
    assert.deepEqual(result, { stopReason: 'cancelled' }, text);
    assert.ok(Date.now() - began < 3000 * patience, `${text}: ${Date.now() - began} ms`);
    if (text.startsWith('/run')) assert.equal(tools(updates, 'execute')[0].status, 'failed');
  }
  const pid = Number(await readFile(path.join(world.repository, 'pid'), 'utf8'));
  const { stdout } = await run('ps', ['-eo', 'pgid=,stat=,args=']);
  const left = stdout.split('\n').filter((line) => Number(line.trim().split(/\s+/)[0]) === pid && !/^\s*\d+\s+Z/.test(line));
  assert.deepEqual(left, [], 'the command and its children are gone');
  assert.equal(texts((await adapter.prompt('and now?')).updates), 'Yes.');
  await adapter.stop();
});

test('cancel while a person is asked', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [{ answer: whole('new.txt', 'new\n') }] });
  const adapter = await world.adapter({ permit: () => undefined }).start();
  const asked = new Promise((resolve) => adapter.once('permission', resolve));
  const turn = adapter.prompt('make a file');
  await deadline(asked, 30000 * patience, 'the question');
  adapter.cancel();
  assert.deepEqual((await turn).result, { stopReason: 'cancelled' });
  assert.ok(!existsSync(path.join(world.repository, 'new.txt')));
  await adapter.stop();
});

test('a cancel without a turn, or a second turn during one, changes nothing', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [slow, { answer: 'Yes.' }] });
  const adapter = await world.adapter().start();
  adapter.cancel();
  assert.deepEqual((await adapter.prompt('hello')).result, { stopReason: 'end_turn' });
  const turn = adapter.prompt('slowly');
  await adapter.until((u) => u.content?.text?.startsWith('one'), 'the first text');
  const second = await adapter.prompt('hello');
  assert.equal(second.error.code, -32600);
  adapter.cancel();
  assert.deepEqual((await turn).result, { stopReason: 'cancelled' });
  await adapter.stop();
});

test('after a kill the conversation is loaded again: messages, files, money', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n', 'b.txt': 'b\n' }, rules: [commitRule,
    { user: 'the walrus', answer: whole('a.txt', 'new\n'), cost: 0.5 }, { user: 'do you remember', answer: 'Of course.' }, slow] });
  const first = await world.adapter().start();
  await first.prompt('/add a.txt');
  await first.prompt('change it, and think of the walrus');
  const turn = first.prompt('slowly').catch(() => {});
  await first.until((u) => u.content?.text?.startsWith('one'), 'the first text');
  first.child.kill('SIGKILL');
  await first.exited;
  await turn;
  const second = world.adapter();
  await assert.rejects(second.start('0d000000-0000-4000-8000-000000000000'), { code: -32002 });
  const third = await world.adapter().start(first.session);
  assert.match(texts(third.updates, 'user_message_chunk'), /think of the walrus/, 'the history is replayed');
  assert.match(texts((await third.prompt('/ls')).updates), /Files in chat:\n\s+a\.txt/);
  const turn2 = await third.prompt('do you remember?');
  assert.deepEqual(turn2.result, { stopReason: 'end_turn' });
  assert.ok(turn2.updates.findLast((u) => u.sessionUpdate === 'usage_update').cost.amount >= 0.5);
  assert.ok((await world.asked()).at(-1).messages > 5, 'the model sees the conversation');
  await third.stop();
});

test('bad requests are refused and change nothing', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [{ answer: 'Yes.' }] });
  const adapter = world.adapter();
  assert.equal((await adapter.request('session/prompt', { sessionId: 'x', prompt: [] })).error.code, -32602);
  assert.equal((await adapter.request('session/new', { cwd: 'relative', mcpServers: [] })).error.code, -32602);
  assert.equal((await adapter.request('no/such', {})).error.code, -32601);
  await adapter.start();
  assert.equal((await adapter.request('session/new', { cwd: world.repository, mcpServers: [] })).error.code, -32600);
  assert.equal((await adapter.request('session/prompt', { sessionId: adapter.session, prompt: [{ type: 'audio' }] })).error.code, -32602);
  assert.equal((await adapter.request('session/prompt', { sessionId: adapter.session, prompt: [{ type: 'text', text: '  ' }] })).error.code, -32602);
  adapter.child.stdin.write('{"jsonrpc": "2.0", oops\n[1]\n');
  assert.equal(texts((await adapter.prompt('hello')).updates), 'Yes.');
  await adapter.stop();
});

test('what a start takes, and that nothing is left in the repository', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [{ answer: 'Yes.' }] });
  const adapter = await world.adapter().start();
  const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${adapter.child.pid}/status`, 'utf8'))[1]) / 1024;
  t.diagnostic(`start to session: ${adapter.readyMs.toFixed(0)} ms, memory when ready: ${rss.toFixed(0)} MB`);
  assert.ok(adapter.readyMs < 5000 * patience);
  await adapter.prompt('hello');
  const after = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${adapter.child.pid}/status`, 'utf8'))[1]) / 1024;
  t.diagnostic(`memory after a turn: ${after.toFixed(0)} MB`);
  assert.match(notices(adapter.updates), /Aider v0\.86\.2/);
  assert.ok(!existsSync(path.join(world.repository, '.aider.tags.cache.v4')));
  assert.ok((await stat(path.join(world.dir, 'session/chat.md'))).size > 0);
  assert.equal(await adapter.stop(), 0);
});
