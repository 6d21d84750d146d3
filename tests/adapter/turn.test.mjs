// One turn: streamed text, edits as diffs, commits, exact usage, commands, permission.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFile, writeFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { git } from '../support/stack.mjs';
import { commitRule, commits, makeWorld, notices, texts, tools, usages, whole } from './adapter.mjs';

test('the sample task: text as it comes, a diff, a commit, exact usage', async (t) => {
  const world = await makeWorld(t);
  const adapter = await world.adapter().start();
  assert.match(texts((await adapter.prompt('/add textkit/money.py')).updates), /Added textkit\/money\.py to the chat/);
  const turn = await adapter.prompt('Fix the rounding of prices, please.');
  assert.deepEqual(turn.result, { stopReason: 'end_turn' });
  const chunks = turn.updates.filter((u) => u.sessionUpdate === 'agent_message_chunk');
  assert.ok(chunks.length > 10, 'the answer is streamed');
  assert.match(texts(turn.updates), /ROUND_HALF_UP/);
  assert.doesNotMatch(texts(turn.updates), /Tokens:|Applied edit/, 'notices are no part of the answer');
  const [edit, ...more] = tools(turn.updates, 'edit');
  assert.equal(more.length, 0);
  const file = path.join(world.repository, 'textkit/money.py');
  assert.equal(edit.status, 'completed');
  assert.deepEqual(edit.locations, [{ path: file }]);
  const [diff] = edit.content;
  assert.equal(diff.type, 'diff');
  assert.equal(diff.path, file);
  assert.match(diff.oldText, /ROUND_DOWN/);
  assert.equal(diff.newText, await readFile(file, 'utf8'));
  const [commit] = commits(turn.updates);
  assert.equal(commit.hash, await git(world.repository, 'rev-parse', 'HEAD'));
  assert.equal(commit.message.split('\n')[0], await git(world.repository, 'log', '-1', '--format=%s'));
  assert.equal(commit.author, 'Ada Tester <ada@example.org>');
  const asked = await world.asked();
  assert.equal(asked.length, 2, 'the edit and its commit message');
  assert.deepEqual(usages(turn.updates).map((u) => [u.tokens_in, u.tokens_out]), asked.map((a) => [a.tokens_in, a.tokens_out]));
  const tested = await adapter.prompt('/test python3 -m unittest -q tests.test_money');
  const [run] = tools(tested.updates, 'execute');
  assert.equal(run.status, 'completed');
  assert.equal(run.rawOutput.exitCode, 0);
  assert.match(run.content[0].content.text, /\nOK\n/);
  assert.equal(await git(world.repository, 'status', '--porcelain'), '', 'nothing of aider is left in the repository');
  assert.equal(await adapter.stop(), 0);
});

test('dollars: what the provider says, else the price list, else unknown', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [
    { user: 'told', answer: 'Yes.', tokens_in: 1000, tokens_out: 10, tokens_cached: 400, cost: 0.0123 },
    { user: 'listed', answer: 'Yes.', tokens_in: 1000, tokens_out: 10, tokens_cached: 400 },
  ] });
  const file = path.join(world.dir, 'prices.json');
  await writeFile(file, JSON.stringify({ 'openai/practice': { max_input_tokens: 32000, max_output_tokens: 4096, mode: 'chat',
    input_cost_per_token: 3e-6, output_cost_per_token: 1.5e-5, cache_read_input_token_cost: 1e-6, litellm_provider: 'openai' } }));
  const adapter = await world.adapter({ extra: ['--model-metadata-file', file] }).start();
  const [told] = usages((await adapter.prompt('told')).updates);
  assert.deepEqual(told, { model: 'openai/practice', tokens_in: 1000, tokens_out: 10, tokens_cached: 400, dollars: 0.0123 });
  const turn = await adapter.prompt('listed');
  const [listed] = usages(turn.updates);
  assert.ok(Math.abs(listed.dollars - (600 * 3e-6 + 400 * 1e-6 + 10 * 1.5e-5)) < 1e-12, String(listed.dollars));
  const last = turn.updates.findLast((u) => u.sessionUpdate === 'usage_update');
  assert.equal(last.size, 32000);
  assert.equal(last.used, 1010);
  assert.ok(Math.abs(last.cost.amount - (0.0123 + listed.dollars)) < 1e-12);
  await adapter.stop();
  const plain = await world.adapter().start();
  assert.equal(usages((await plain.prompt('listed')).updates)[0].dollars, null);
  await plain.stop();
  // LiteLLM counts an OpenRouter stream by itself and forgets what the provider said.
  const routed = await world.adapter({ model: 'openrouter/some/practice', env: {
    OPENROUTER_API_KEY: world.key, OPENROUTER_API_BASE: `http://127.0.0.1:${world.model.port}/v1` } }).start();
  const [own] = usages((await routed.prompt('told')).updates);
  assert.deepEqual(own, { ...told, model: 'openrouter/some/practice' });
  await routed.stop();
});

test('a summary made in the background is metered too', async (t) => {
  const long = 'word '.repeat(1200);
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [
    { system: 'summarize this partial conversation', answer: 'A talk.', tokens_in: 900, tokens_out: 3 },
    commitRule,
    { user: 'change', answer: whole('a.txt', 'b\n', long), tokens_in: 50, tokens_out: 5 },
    { answer: 'Well.', tokens_in: 1, tokens_out: 1 },
  ] });
  const adapter = await world.adapter().start();
  await adapter.prompt('/add a.txt');
  await adapter.prompt('change it');
  await adapter.prompt('and now?');
  const asked = await world.asked();
  assert.ok(asked.some((a) => a.tokens_in === 900), 'there was a summary');
  await adapter.until(() => usages(adapter.updates).length >= asked.length, 'the usage of each call');
  const all = usages(adapter.updates).map((u) => u.tokens_in);
  assert.deepEqual([...all].sort(), asked.map((a) => a.tokens_in).sort(), 'each call once');
  await adapter.stop();
});

test('thoughts of a reasoning model are thoughts, not text', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [{ answer: 'Forty-two.', reasoning: 'Let me think.' }] });
  for (const extra of [[], ['--no-stream']]) {
    const adapter = await world.adapter({ extra }).start();
    const turn = await adapter.prompt('what is the answer?');
    assert.match(texts(turn.updates), /Forty-two\./);
    if (!extra.length) {
      assert.match(texts(turn.updates, 'agent_thought_chunk'), /Let me think\./);
      assert.doesNotMatch(texts(turn.updates), /think/i);
    }
    await adapter.stop();
  }
});

test('an answer with no edits of the right form is asked for again, then given up', async (t) => {
  const block = 'a.txt\n```\n<<<<<<< SEARCH\nno such line\n=======\nb\n>>>>>>> REPLACE\n```\n';
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [{ answer: block }] });
  const adapter = await world.adapter({ extra: ['--edit-format', 'diff'] }).start();
  await adapter.prompt('/add a.txt');
  const turn = await adapter.prompt('change it');
  assert.deepEqual(turn.result, { stopReason: 'max_turn_requests' });
  assert.ok(tools(turn.updates, 'edit').every((e) => e.status === 'failed'));
  assert.match(notices(turn.updates), /did not conform to the edit format/);
  assert.equal((await world.asked()).length, 4, 'one try and three reflections');
  assert.match(notices(turn.updates), /Only 3 reflections allowed/);
  await adapter.stop();
});

test('commands: output, exit code, no stdin, bounded; /git commits are told', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [{ answer: 'I see.' }] });
  const adapter = await world.adapter().start();
  const run = await adapter.prompt('/run echo out; echo err >&2; cat; exit 3');
  const [call] = tools(run.updates, 'execute');
  assert.deepEqual([call.status, call.rawOutput.exitCode], ['failed', 3]);
  assert.equal(call.content[0].content.text, 'out\nerr\n');
  assert.equal(call.rawInput.command, 'echo out; echo err >&2; cat; exit 3');
  assert.equal(adapter.permissions.length, 0, 'its output goes into the chat without a question');
  const flood = await adapter.prompt('/git --version; head -c 50000000 /dev/zero | tr "\\0" x');
  const [big] = tools(flood.updates, 'execute');
  assert.ok(big.content[0].content.text.length < 70000);
  const env = await adapter.prompt('/git --version >/dev/null; env');
  assert.doesNotMatch(texts([]) + tools(env.updates, 'execute')[0].content[0].content.text, /OPENAI_API_KEY|a-key-for/);
  const made = await adapter.prompt('/git commit -q --allow-empty -m "by hand"');
  assert.deepEqual(commits(made.updates).map((c) => c.message), ['by hand']);
  const seen = await adapter.prompt('what did it print?');
  assert.equal(seen.result.stopReason, 'end_turn');
  assert.match(JSON.stringify((await world.asked()).at(-1).messages), /^\d+$/);
  for (const [text, said] of [['/exit', /cannot be used here/], ['/model x', /cannot be used here/], ['/load a.txt', /cannot be used here/]])
    assert.match(texts((await adapter.prompt(text)).updates), said);
  assert.match(notices((await adapter.prompt('/nonsense')).updates), /Invalid command/);
  assert.match(texts((await adapter.prompt('/ls')).updates), /a\.txt/);
  await adapter.stop();
});

test('a question is a permission request; no means no', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [commitRule, { answer: whole('new.txt', 'new\n') }] });
  const adapter = await world.adapter({ permission: 'ask', permit: () => 'no' }).start();
  const refused = await adapter.prompt('make a file');
  const [asked] = adapter.permissions;
  assert.match(asked.toolCall.title, /Create new file\? new\.txt/);
  assert.equal(asked.toolCall.kind, 'edit');
  assert.deepEqual(asked.toolCall.locations, [{ path: path.join(world.repository, 'new.txt') }]);
  assert.deepEqual(asked.options.map((o) => o.kind), ['allow_once', 'reject_once']);
  assert.equal(commits(refused.updates).length, 0);
  await assert.rejects(readFile(path.join(world.repository, 'new.txt')));
  adapter.permit = () => 'yes';
  const allowed = await adapter.prompt('make a file');
  const [edit] = tools(allowed.updates, 'edit');
  assert.equal(edit.content[0].newText, 'new\n');
  assert.equal(edit.content[0].oldText, undefined, 'a new file');
  assert.equal(commits(allowed.updates).length, 1);
  await adapter.stop();
});

test('an edit that leaves the workspace is always asked about', async (t) => {
  const world = await makeWorld(t, { files: { 'a.txt': 'a\n' }, rules: [commitRule,
    { user: 'link', answer: whole('link.txt', 'owned\n') }, { answer: whole('../outside.txt', 'owned\n') }] });
  await writeFile(path.join(world.dir, 'secret.txt'), 'secret\n');
  await symlink(path.join(world.dir, 'secret.txt'), path.join(world.repository, 'link.txt'));
  await git(world.repository, 'add', '-A');
  await git(world.repository, 'commit', '-q', '-m', 'link');
  const outside = (request) => request.toolCall.locations?.some((l) => !l.path.startsWith(`${world.repository}/`));
  const adapter = await world.adapter({ permit: (request) => (outside(request) ? 'no' : 'yes') }).start();
  await adapter.prompt('go');
  await adapter.prompt('/add link.txt');
  await adapter.prompt('link');
  const edits = adapter.permissions.filter((request) => outside(request) && request.toolCall.kind === 'edit');
  assert.deepEqual(edits.map((request) => request.toolCall.locations[0].path), ['outside.txt', 'secret.txt'].map((name) => path.join(world.dir, name)));
  assert.equal(await readFile(path.join(world.dir, 'secret.txt'), 'utf8'), 'secret\n');
  await assert.rejects(readFile(path.join(world.dir, 'outside.txt')));
  await adapter.stop();
});
