// What the model's provider does wrong, and how the turn ends then.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { patience } from '../support/stack.mjs';
import { makeWorld, notices, texts } from './adapter.mjs';

async function fail(t, rule, options = {}) {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [{ user: 'fail', ...rule }, { answer: 'Yes.' }], ...options });
  const adapter = await world.adapter().start();
  const began = Date.now();
  const turn = await adapter.prompt('fail');
  turn.ms = Date.now() - began;
  const next = await adapter.prompt('again');
  assert.deepEqual(next.result, { stopReason: 'end_turn' }, 'the session goes on');
  assert.equal(texts(next.updates), 'Yes.');
  await adapter.stop();
  return { ...turn, asked: await world.asked() };
}

const error = (message) => ({ message, type: 'error', code: 'code' });

test('errors that waiting cannot mend end the turn at once, each with its kind', async (t) => {
  const cases = [
    ['authentication', { status: 401, error: error('bad key') }],
    ['authentication', { status: 403, error: error('not allowed') }],
    ['budget', { status: 402, error: error('Insufficient credits') }],
    ['budget', { status: 429, error: error('You exceeded your current quota') }],
    ['not_found', { status: 404, error: error('no such model') }],
    ['context', { status: 400, error: error("This model's maximum context length is 8 tokens") }],
    ['other', { status: 400, error: error('bad parameter') }],
    ['rate_limit', { status: 429, retry_after: '77', error: error('slow down') }],
  ];
  const rules = cases.map(([, rule], i) => ({ user: `case ${i}.`, ...rule }));
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [...rules, { answer: 'Yes.' }] });
  const adapter = await world.adapter().start();
  for (const [i, [kind, rule]] of cases.entries()) {
    const before = i ? (await world.asked()).length : 0;
    const turn = await adapter.prompt(`case ${i}.`);
    assert.equal(turn.error?.code, -32000, JSON.stringify(turn.result));
    const said = { kind, ...(rule.retry_after && { retry_after_ms: 77000 }) };
    assert.deepEqual(turn.error.data['100x'], said, turn.error.message);
    assert.equal((await world.asked()).length - before, 1, `${rule.status} is not tried again`);
  }
  assert.equal(texts((await adapter.prompt('again')).updates), 'Yes.', 'the session goes on');
  await adapter.stop();
});

test('what passes is tried again and does not end the turn', async (t) => {
  const turn = await fail(t, { status: 503, times: 2, error: error('busy') }, {
    rules: [{ user: 'fail', status: 503, times: 2, error: error('busy') }, { answer: 'Yes.' }] });
  assert.deepEqual(turn.result, { stopReason: 'end_turn' });
  assert.match(notices(turn.updates), /Retrying in/);
});

test('what does not pass ends the turn after a bounded time', async (t) => {
  const turn = await fail(t, { status: 500, error: error('broken') });
  assert.equal(turn.error.data['100x'].kind, 'unavailable');
  assert.ok(turn.ms < 30000 * patience, `${turn.ms} ms`);
  assert.ok(turn.asked.length - 1 <= 8, `${turn.asked.length - 1} tries`);
});

test('broken answers do not end the session', async (t) => {
  const faults = ['error_in_200', 'error_mid_stream', 'reset', 'empty', 'truncated', 'wrong_schema', 'nul', 'invalid_utf8'];
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [
    ...faults.map((fault) => ({ user: `${fault}!`, fault, times: 1 })), { answer: 'Yes.' }] });
  const adapter = await world.adapter().start();
  for (const fault of faults) {
    const turn = await adapter.prompt(`${fault}!`);
    assert.ok(turn.result?.stopReason === 'end_turn' || turn.error?.code === -32000, `${fault}: ${JSON.stringify(turn.error ?? turn.result)}`);
  }
  assert.equal(texts((await adapter.prompt('again')).updates), 'Yes.');
  await adapter.stop();
});

test('an answer cut by the length limit says so', async (t) => {
  const turn = await fail(t, { answer: 'half of an ans', finish_reason: 'length' });
  assert.deepEqual(turn.result, { stopReason: 'max_tokens' });
});

test('a commit message that cannot be had does not undo the edit', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [
    { system: 'Git commit messages', status: 401, error: error('bad key') },
    { answer: 'a.txt\n```\nb\n```\n' }] });
  const adapter = await world.adapter().start();
  await adapter.prompt('/add a.txt');
  const turn = await adapter.prompt('change it');
  assert.deepEqual(turn.result, { stopReason: 'end_turn' });
  assert.match(notices(turn.updates), /no commit message provided/);
  await adapter.stop();
});

test('no server at all', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' } });
  const adapter = await world.adapter({ env: { OPENAI_API_BASE: 'http://127.0.0.1:9/v1' } }).start();
  const turn = await adapter.prompt('hello');
  assert.equal(turn.error.data['100x'].kind, 'unavailable');
  await adapter.stop();
});

test('the key is in no message, also when the provider repeats it', async (t) => {
  const key = 'sk-very-secret-key-0123456789';
  const world = await makeWorld(t, { key, files: { 'a.txt': 'a\n' }, rules: [{ status: 401, error: error(`Incorrect API key provided: ${key}`) }] });
  const adapter = await world.adapter().start();
  const turn = await adapter.prompt('hello');
  assert.equal(turn.error.data['100x'].kind, 'authentication');
  assert.doesNotMatch(JSON.stringify([turn.error, adapter.updates]), /sk-very-secret/);
  await adapter.stop();
});
