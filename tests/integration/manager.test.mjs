// The manager, with a scripted model and a scripted agent: every action, bad answers, models
// that refuse, limits, messages between agents.
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeRepository, startPracticeModel, startStack, support } from '../support/stack.mjs';

let stack, repository, model, log;
let number = 0;

before(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
});

afterEach(async () => {
  await model?.stop();
  model = null;
});

after(async () => {
  assert.deepEqual(await stack.stop(), []);
});

const decision = (action, words = {}) => JSON.stringify({ progress: 'Half is done.', thought: 'Go on.', action, future: 'Finish.', ...words });
const edit = { write: { path: 'hello.txt', text: 'hello\n' } };

// A model with these answers to the manager (the last repeats), and an agent with this script;
// the base URL is in the environment of the worker through ~/.env, read at each start.
async function create(answers, { script = { turns: [{ steps: [{ echo: true }, edit] }] }, rules = [], ...params } = {}) {
  const file = path.join(stack.dir, `model-${++number}.json`);
  log = path.join(stack.dir, `model-${number}.log`);
  await writeFile(file, JSON.stringify({ rules: [...rules, { system: 'You are the manager of a coding agent', answers }] }));
  await model?.stop();
  model = await startPracticeModel({ script: file, log });
  await writeFile(path.join(stack.env.HOME, '.env'),
    `OPENAI_API_BASE=http://127.0.0.1:${model.port}/v1\nexport OPENAI_API_KEY="key-of-the-manager-test"\n`, { mode: 0o600 });
  await stack.ask('config.set', { models: { agent: 'openai/practice', aider: 'openai/practice', orchestrator: 'openai/practice' },
    general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'say hello', description: 'Into hello.txt.' }], ...params });
  return tasks.flatMap((t) => t.agents);
}

const prompts = async (agent) => (await stack.events(agent, ['turn'])).filter((e) => e.body.phase === 'started').map((e) => e.body.prompt);
async function stop(agent) {
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
}

test('every action of the table', async () => {
  const [agent] = await create([decision('/add README.md'), decision('/ls'), decision('/map'), decision('/run echo hi'), decision('/test true'),
    decision('/git status'), decision('/drop README.md'), decision('/instruct Write hello.'), decision('/finish')]);
  await stack.untilState(agent, 'done');
  const sent = await prompts(agent);
  assert.deepEqual(sent.slice(0, 7), ['/add README.md', '/ls', '/map', '/run echo hi', '/test true', '/git status', '/drop README.md']);
  assert.match(sent[7], /Write hello\./);
  const decisions = (await stack.events(agent, ['decision'])).map((e) => e.body);
  assert.equal(decisions.length, 9);
  assert.ok(decisions.every((d) => d.accepted && d.progress === 'Half is done.' && d.future === 'Finish.'));
  const { turns } = await stack.ask('agent.show', { agent });
  assert.equal(turns.length, 8, 'the whole history is kept');
  assert.ok(turns.every((t) => t.thought === 'Go on.'));
});

test('a bad answer is told back with what was wrong; a good one follows', async () => {
  const [agent] = await create(['no JSON at all', `\`\`\`json\n${decision('/instruct Write hello.')}\n\`\`\``, decision('/dance'), decision('/finish')]);
  await stack.untilState(agent, 'done');
  const decisions = (await stack.events(agent, ['decision'])).map((e) => e.body);
  assert.ok(decisions.some((d) => !d.accepted && /JSON/i.test(d.reason)));
  assert.ok(decisions.some((d) => !d.accepted && /dance|action/i.test(d.reason)));
});

test('three bad answers in a row: the agent waits for a person, whose message wakes it', async () => {
  const [agent] = await create(['{}', '', 'x', decision('/instruct Write hello.'), decision('/finish')]);
  const { reason } = await stack.untilState(agent, 'waiting');
  assert.match(reason, /answer/i);
  await stack.ask('agent.tell', { agent, text: 'try again, please' });
  await stack.untilState(agent, 'done');
});

test('a refused key pauses with the variable to set; resume tries again', async () => {
  const [agent] = await create([decision('/finish')], { rules: [{ status: 401, times: 1, error: { message: 'Incorrect API key', type: 'invalid_request_error' } }] });
  const { reason } = await stack.untilState(agent, 'paused');
  assert.match(reason, /OPENAI_API_KEY/);
  assert.ok(!reason.includes('key-of-the-manager-test'));
  await stack.ask('agent.resume', { agent });
  await stack.untilState(agent, 'done');
});

test('a busy model is asked again, as late as it says', async () => {
  const [agent] = await create([decision('/finish')], { rules: [{ status: 429, retry_after: '1', times: 1, error: { message: 'slow down' } }, { status: 503, times: 1, error: { message: 'overloaded' } }] });
  await stack.untilState(agent, 'done');
  const troubles = (await stack.events(agent, ['trouble'])).map((e) => e.body);
  assert.ok(troubles.some((t) => t.retry_in_ms >= 900), JSON.stringify(troubles));
});

test('an unknown model and a missing key say what to change', async () => {
  const [agent] = await create([decision('/finish')], { rules: [{ status: 404, error: { message: 'The model `practice` does not exist', code: 'model_not_found' } }] });
  const unknown = await stack.untilState(agent, ['paused', 'waiting']);
  assert.match(unknown.reason, /model/i);
  await stop(agent);
  const [keyless] = await create([decision('/finish')], { models: { agent: 'groq/llama', aider: 'openai/practice' } });
  const missing = await stack.untilState(keyless, 'paused');
  assert.match(missing.reason, /GROQ_API_KEY/);
  await stop(keyless);
});

test('the dollar limit pauses', async () => {
  const script = { turns: [{ steps: [{ usage: { model: 'openai/x', tokens_in: 1, tokens_out: 1, tokens_cached: 0, dollars: 0.6 } }] }] };
  const [agent] = await create([decision('/instruct more')], { script, limits: { dollars: 1 } });
  const { reason } = await stack.untilState(agent, 'paused');
  assert.match(reason, /dollar|\$/i);
  assert.equal((await prompts(agent)).length, 2);
  await stop(agent);
});

test('agents tell each other', async () => {
  const { last_event: after } = await stack.ask('status');
  const [first, second] = await create([decision('/instruct wait')], {
    agents_per_task: 2,
    script: { turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 200 }] }] },
    limits: { turns: 500 },
    rules: [{ system: 'You are the manager of a coding agent', times: 1, answer: decision('/tell all the parser is mine') }],
  });
  const got = await stack.until((e) => e.kind === 'message' && e.body.direction === 'in' && e, 'the message', 30000, { after });
  assert.ok([first, second].includes(got.subject));
  const other = got.subject === first ? second : first;
  assert.equal(got.body.from, `agent/${other}`);
  assert.match(got.body.text, /the parser is mine/);
  await stop(first);
  await stop(second);
});

test('a message of a person reaches the manager', async () => {
  const [agent] = await create([decision('/instruct wait')], { script: { turns: [{ steps: [{ text: 'started\n' }, { silence_ms: 300 }] }] }, limits: { turns: 500 } });
  await stack.until((e) => e.kind === 'output', 'output', 30000, { agent });
  await stack.ask('agent.tell', { agent, text: 'use the word aardvark' });
  const { n } = await stack.until((e) => e.kind === 'turn' && e.body.phase === 'ended' && { n: e.body.turn }, 'a turn', 30000, { agent });
  await stack.until((e) => e.kind === 'turn' && e.body.phase === 'started' && e.body.turn >= n + 3, 'two more turns', 30000, { agent });
  assert.match(await readFile(log, 'utf8'), /aardvark/);
  await stop(agent);
});

test('the view of the log stays bounded and its beginning the same', async () => {
  const script = { turns: [{ steps: [{ flood: { lines: 3000, size: 100, rate: 0 } }] }] };
  const [agent] = await create([decision('/instruct go on')], { script, limits: { turns: 6 } });
  await stack.untilState(agent, 'paused', 90000);
  const requests = (await readFile(log, 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(requests.length >= 6);
  const sizes = requests.map((r) => r.bytes);
  assert.ok(Math.max(...sizes) < 60000, `sizes ${sizes}`);
  await stop(agent);
});
