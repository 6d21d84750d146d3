// What a model's provider does wrong, a row each: how it is classed, what the agent's state and
// reason are, when it is asked again. All rows run at once, as agents do; then that none of them
// delays another, that deadlines hold, and that what may be spent holds over kills.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import https from 'node:https';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, makeRepository, patience, startPracticeModel, startStack, support } from '../support/stack.mjs';

const decision = (action) => JSON.stringify({ progress: 'p', thought: 't', action, future: 'f' });
const finish = { answer: decision('/finish') };
const words = (message, code) => ({ error: { message, type: 'error', ...(code && { code }) } });
// A wait that is told: half to whole of the first backoff, or as asked and 10 % more at most.
const soon = [250, 500];
const asked = (ms) => [ms, ms * 1.1];

// name, what the provider does (once, unless `times` says more), then what follows:
//   tried: reason and delay of the trouble; the agent goes on and is done
//   ends: the state it stays in, and its reason
//   told: what the model is told about its answer; it answers well then, and the agent is done
const rows = [
  ['401', { status: 401, ...words('Incorrect key') }, { ends: 'paused', reason: /refused the key: Incorrect key; set OPENAI_API_KEY/ }],
  ['402', { status: 402, ...words('Insufficient credits') }, { ends: 'paused', reason: /no credit left.*add credit/ }],
  ['403', { status: 403, ...words('Not allowed here') }, { ends: 'paused', reason: /refused this request \(403\): Not allowed here/ }],
  ['404', { status: 404, ...words('no such model') }, { ends: 'paused', reason: /does not know the model row-404/ }],
  ['400', { status: 400, ...words('bad parameter') }, { ends: 'paused', reason: /refused the question \(400\): bad parameter/ }],
  ['quota', { status: 429, ...words('You exceeded your quota', 'insufficient_quota') }, { ends: 'paused', reason: /no credit left/ }],
  ['413', { status: 413, ...words('too large') }, { ends: 'waiting', reason: /finds the question too long/ }],
  ['408', { status: 408, ...words('late') }, { tried: [/is not able to answer \(408\): late/, soon] }],
  ['429', { status: 429, ...words('slow down') }, { tried: [/limits the rate \(429\): slow down/, soon] }],
  ['429-seconds', { status: 429, retry_after: '2', ...words('slow down') }, { tried: [/limits the rate/, asked(2000)] }],
  ['429-date', { status: 429, retry_after_date: 3, ...words('slow down') }, { tried: [/limits the rate/, [1000, 3300]] }],
  ['429-later', { status: 429, retry_after: '2000', ...words('come back later') },
    { ends: 'working', reason: /trying again in (3[3-7]) min: .*limits the rate \(429\): come back later/, retry: asked(2000000) }],
  ['500', { status: 500, ...words('broken') }, { tried: [/is not able to answer \(500\): broken/, soon] }],
  ['502', { status: 502, ...words('bad gateway') }, { tried: [/\(502\): bad gateway/, soon] }],
  ['503', { status: 503, retry_after: '1', ...words('overloaded') }, { tried: [/\(503\): overloaded/, asked(1000)] }],
  ['503-thrice', { status: 503, times: 3, ...words('overloaded') }, { tried: [/\(503\): overloaded/, soon, [500, 1000], [1000, 2000]] }],
  ['error-in-200', { fault: 'error_in_200' }, { tried: [/\(502\).*the provider returned an error/, soon] }],
  ['truncated', { fault: 'truncated' }, { tried: [/an answer that is not JSON/, soon] }],
  ['empty', { fault: 'empty' }, { tried: [/an empty answer/, soon] }],
  ['huge', { fault: 'huge' }, { ends: 'waiting', reason: /the answer is longer than 4194304 bytes/ }],
  ['slow', { fault: 'slow' }, { tried: [/no answer within 1 s/, soon] }],
  ['hang', { fault: 'hang' }, { tried: [/no answer within 1 s/, soon] }],
  ['reset', { fault: 'reset' }, { tried: [/cannot be reached/, soon] }],
  ['schema', { fault: 'wrong_schema' }, { tried: [/without choices/, soon] }],
  ['fenced', { fault: 'fenced', answer: decision('/ls') }, { told: null }],
  ['action', { answer: decision('/dance') }, { told: /unknown action|dance/ }],
  ['no-json', { answer: 'I would rather talk.' }, { told: /JSON/ }],
  ['nothing', { answer: '' }, { told: /empty|JSON/ }],
  ['nul', { fault: 'nul' }, { told: /JSON/ }],
  ['utf8', { fault: 'invalid_utf8' }, { told: /JSON/ }],
];
// The same by other ways than an answer.
const routes = [
  ['tls', 'groq', { ends: 'paused', reason: /certificate is not trusted.*SSL_CERT_FILE/ }],
  ['refused', 'deepseek', { keeps: /deepseek cannot be reached/ }],
  ['name', 'mistral', { keeps: /mistral cannot be reached: x+\.invalid: the name cannot be resolved/ }],
];

const agentOf = {}; // by the row's name
let stack, repository, model, secure, folder, log;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), '100x-faults-'));
  const [key, cert] = ['key.pem', 'cert.pem'].map((f) => path.join(folder, f));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key,
    '-out', cert, '-days', '2', '-subj', '/CN=localhost'], { stdio: 'ignore' });
  secure = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }).listen(0, '127.0.0.1');
  await once(secure, 'listening');
  log = path.join(folder, 'model.log');
  const script = path.join(folder, 'model.json');
  await writeFile(script, JSON.stringify({ strict: true, rules: [
    ...rows.flatMap(([name, rule]) => [{ times: 1, ...rule, model: `row-${name}.` }, { model: `row-${name}.`, ...finish }]),
    { model: 'never.', fault: 'hang' },
    { model: 'quick.', answer: decision('/instruct go on') },
    { model: 'dear.', answer: decision('/instruct go on'), cost: 0.3 },
  ] }));
  model = await startPracticeModel({ script, log });
  stack = await startStack({ env: {
    OPENAI_API_BASE: `http://127.0.0.1:${model.port}/v1`, OPENAI_API_KEY: 'key-of-the-faults-test',
    GROQ_API_BASE: `https://localhost:${secure.address().port}/v1`, GROQ_API_KEY: 'k',
    DEEPSEEK_API_BASE: `http://127.0.0.1:${await freePort()}/v1`, DEEPSEEK_API_KEY: 'k',
    MISTRAL_AZURE_API_BASE: `http://${'x'.repeat(64)}.invalid/v1`, MISTRAL_API_KEY: 'k' } });
  repository = await makeRepository(stack.dir);
  await stack.ask('config.set', { general: { max_working: 60, model_seconds: 1,
    agent_command: [support('scripted_agent'), '-e', JSON.stringify({ turns: [{ steps: [{ text: 'ok\n' }] }] })] } });
});

after(async () => {
  const left = await stack?.stop();
  secure?.close();
  await model?.stop();
  rmSync(folder, { recursive: true, force: true });
  assert.deepEqual(left, []);
});

async function create(agentModel, params = {}) {
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: agentModel, description: 'x' }],
    models: { agent: agentModel, aider: 'openai/practice' }, ...params });
  return tasks[0].agents[0];
}

const troubles = async (agent) => (await stack.events(agent, ['trouble'])).map((e) => e.body).filter((t) => t.what === 'model');
const requests = (name) => readFileSync(log, 'utf8').trim().split('\n').map((line) => JSON.parse(line)).filter((r) => r.model.includes(name));

async function judge(agent, name, wanted) {
  if (wanted.ends) {
    const state = await stack.until((e) => e.kind === 'state' && e.body.state === wanted.ends && wanted.reason.test(e.body.reason) && e.body,
      `${name}: ${wanted.ends}, ${wanted.reason}`, 30000, { agent });
    assert.ok(!state.reason.includes('key-of-the-faults-test'));
    const told = await stack.until((e) => e.kind === 'trouble' && e.body.what === 'model' && e.body, `${name}: a trouble`, 30000, { agent });
    assert.ok(told && wanted.ends === 'working' === (told.retry_in_ms !== undefined), JSON.stringify(told));
    if (wanted.retry) assert.ok(told.retry_in_ms >= wanted.retry[0] && told.retry_in_ms <= wanted.retry[1], String(told.retry_in_ms));
    assert.equal((await stack.ask('agent.show', { agent })).reason, state.reason);
    return;
  }
  if (wanted.keeps) {
    await stack.until((e) => e.kind === 'state' && e.body.state === 'working' && /^trying again in \d+ s: /.test(e.body.reason) &&
      wanted.keeps.test(e.body.reason), `${name}: ${wanted.keeps}`, 30000, { agent });
    await stack.until((e) => e.kind === 'trouble' && wanted.keeps.test(e.body.reason) && e.body.retry_in_ms >= 500, `${name}: a second time`, 30000, { agent });
    return;
  }
  await stack.untilState(agent, 'done');
  const told = await troubles(agent);
  const decisions = (await stack.events(agent, ['decision'])).map((e) => e.body);
  if (wanted.tried) {
    const [reason, ...delays] = wanted.tried;
    assert.equal(told.length, delays.length, JSON.stringify(told));
    for (const [i, [low, high]] of delays.entries()) {
      assert.match(told[i].reason, reason);
      assert.ok(told[i].retry_in_ms >= low && told[i].retry_in_ms <= high, `${told[i].retry_in_ms} in ${low}..${high}`);
    }
    const states = (await stack.events(agent, ['state'])).map((e) => e.body);
    assert.ok(states.some((s) => s.state === 'working' && s.reason.startsWith('trying again in ') && reason.test(s.reason)), JSON.stringify(states));
    assert.equal(decisions.length, 1, 'it was asked once, as far as the agent can tell');
  } else {
    assert.deepEqual(told, []);
    assert.equal(decisions.length, 2);
    assert.equal(decisions[0].accepted, wanted.told === null);
    if (wanted.told) assert.match(decisions[0].reason, wanted.told);
  }
}

test('each fault is classed, told, and waited for as it should be', async (t) => {
  const all = [...rows.map(([name, , wanted]) => [name, `openai/row-${name}.`, wanted]),
    ...routes.map(([name, provider, wanted]) => [name, `${provider}/${name}`, wanted])];
  for (const [name, agentModel] of all) agentOf[name] = await create(agentModel);
  for (const [name, , wanted] of all) await t.test(name, () => judge(agentOf[name], name, wanted));
  for (const agent of Object.values(agentOf)) await stack.ask('agent.stop', { agent }).catch((error) => assert.equal(error.kind, 'conflict'));
});

test('the deadline of a question holds to a second', async () => {
  // By the worker's own clock: it says nothing between the question and the end of its patience.
  const events = await stack.events(agentOf['hang']);
  const told = events.findIndex((e) => e.kind === 'trouble');
  const patient = events[told].body.at - events[told - 1].body.at;
  assert.ok(patient >= 1000 && patient <= 1000 + 1000 * patience, `${patient} ms`);
  const late = requests('row-hang.');
  assert.equal(late.length, 2);
  const between = late[1].at - late[0].at; // the deadline, and the wait before the next try
  assert.ok(between <= 1500 + 1000 * patience, `${between} ms`);
});

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
async function idle(agent, turns) {
  await stack.until((e) => e.kind === 'turn' && e.body.phase === 'started' && e.body.turn === turns, `${turns} turns`, 60000, { agent });
  return (await stack.events(agent, ['turn'])).filter((e) => e.body.phase === 'started' && e.body.idle_ms >= 0).map((e) => e.body.idle_ms);
}

test('a model that never answers delays no other agent', async () => {
  const limits = { turns: 60 };
  const alone = median(await idle(await create('openai/quick.', { limits }), 60));
  const stuck = [await create('openai/never.'), await create('openai/never.')];
  for (const agent of stuck) await stack.until((e) => e.kind === 'trouble', 'a late answer', 30000, { agent });
  const beside = median(await idle(await create('openai/quick.', { limits }), 60));
  assert.ok(beside <= alone + 5 * patience, `median idle time ${beside} ms beside two that wait, ${alone} ms alone`);
  for (const agent of stuck) await stack.ask('agent.stop', { agent });
});

test('what may be spent holds to one request, also over kills of the worker', async () => {
  const agent = await create('openai/dear.', { limits: { dollars: 1, turns: 100 } });
  for (const turn of [1, 2, 3]) {
    // The answers that kills make it ask for again may use up the limit before.
    const { kind } = await stack.until((e) => ((e.kind === 'turn' && e.body.phase === 'started' && e.body.turn >= turn)
      || (e.kind === 'state' && e.body.state === 'paused')) && e, `turn ${turn}`, 30000, { agent });
    if (kind === 'state') break;
    const row = await stack.ask('agent.show', { agent });
    try {
      if (row.pid) process.kill(row.pid, 'SIGKILL');
    } catch (error) {
      assert.equal(error.code, 'ESRCH'); // the row tells its death a moment later
    }
  }
  const { reason } = await stack.untilState(agent, 'paused', 60000);
  assert.match(reason, /cost limit of \$1\.00 reached/);
  const { length } = requests('dear.');
  // Each kill may lose the answer to a question that was under way, and no more.
  assert.ok(length >= 4 && length <= 4 + 3, `${length} requests of $0.30 for a limit of $1`);
  const spent = (await stack.events(agent, ['usage'])).reduce((sum, e) => sum + (e.body.dollars ?? 0), 0);
  assert.ok(spent >= 1 && spent < 1.3, `${spent}`);
  await stack.ask('agent.stop', { agent });
});
