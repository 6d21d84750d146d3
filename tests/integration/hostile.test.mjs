// Bytes that mean harm: what an agent may print, and what a peer may send to the sockets.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { deadline, makeRepository, mode, patience, run, startStack, support } from '../support/stack.mjs';

let stack, repository;

before(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
});

after(async () => {
  assert.deepEqual(await stack.stop(), [], 'processes left behind');
});

const PIECE_MAX = 64 * 1024; // bytes of text in one event
// What a worker may grow by, whatever its agent prints. It reads in pieces of 64 KiB, gathers
// 64 KiB and keeps what the supervisor has not yet acknowledged in its spool, on the disk.
const GROWTH_MAX_KIB = 4096;

let scripts = 0;

// An agent that plays these steps; it has started, so the next may have another script.
async function create(...steps) {
  const script = path.join(stack.dir, `script-${++scripts}.json`);
  await writeFile(script, JSON.stringify({ load_session: true, turns: [{ steps: [{ text: 'started\n' }, ...steps, { text: 'still here\n' }] }] }));
  await stack.ask('config.set', { general: { max_working: 20, agent_command: [support('scripted_agent'), '--script', script] } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'print' }], manager: false });
  const [agent] = tasks[0].agents;
  await stack.until((e) => e.kind === 'output' && e.body.text.includes('started'), `${JSON.stringify(steps).slice(0, 80)} to start`, 30000, { agent });
  return agent;
}

const outputs = async (agent) => (await stack.events(agent, ['output'])).map((e) => e.body);
const textOf = (bodies, stream) => bodies.filter((b) => b.stream === stream).map((b) => b.text).join('');

function assertPieces(bodies) {
  for (const { text } of bodies) assert.ok(Buffer.byteLength(text) <= PIECE_MAX, `a piece of ${Buffer.byteLength(text)} bytes`);
}

async function finishes(agent, ms = 60000) {
  const { reason } = await stack.untilState(agent, ['done', 'failed', 'stopped', 'waiting'], ms);
  const bodies = await outputs(agent);
  assertPieces(bodies);
  assert.match(textOf(bodies, 'agent'), /still here/, `the agent goes on: ${reason}`);
  return bodies;
}

const hex = (...parts) => Buffer.concat(parts.map((p) => Buffer.from(p))).toString('hex');
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const esc = '\x1b';
const sequences = [`${esc}[31mred`, `${esc}[2J`, `${esc}]0;title\x07`, `${esc}]52;c;cGFzcw==\x07`, `${esc}P$qm${esc}\\`, `${esc}[200~paste${esc}[201~`,
  `${esc}]8;;javascript:alert(1)\x07link${esc}]8;;\x07`, `${esc}[6n`, '\x9b31m', '<img src=x onerror=alert(1)>', '</script><script>alert(1)</script>'];

test('bytes that are no text, on both outputs: the agent goes on, all that is told is text', async () => {
  const agents = [];
  for (const [name, bytes] of Object.entries({
    NUL: hex([0]), 'all bytes': hex(everyByte), 'all bytes, lines': hex(everyByte, '\n'), 'broken UTF-8': hex('ok ', [0xc3, 0x28, 0xff, 0xed, 0xa0, 0x80, 0xf8, 0x88, 0xe2, 0x82], '\n'),
    'cut characters': hex('a', [0xf0, 0x9f, 0x98]), '10,000 sequences': hex(...sequences, '\n'),
  })) {
    for (const fd of [1, 2]) {
      agents.push([`${name} to ${fd}`, await create({ flood: { fd, hex: bytes, bytes: 10000 * 16 } }, { raw: '' })]);
    }
  }
  for (const [name, agent] of agents) {
    const bodies = await finishes(agent).catch((error) => { throw new Error(`${name}: ${error.message}`); });
    assert.ok(bodies.some((b) => b.stream !== 'agent' && b.text.length), `${name} is told`);
  }
});

test('text with markup and sequences arrives as it was', async () => {
  const words = `${sequences.join(' ').repeat(200)}\n> \nCost: $99.99 message, $99.99 session.\nTokens: 9k sent\n${'\u{1f600}'.repeat(1000)}\n`;
  const agent = await create({ text: words }, { thought: words });
  const bodies = await finishes(agent);
  assert.ok(textOf(bodies, 'agent').includes(words));
  assert.equal(textOf(bodies, 'thought'), words);
});

test('fake prompts and costs in the text change nothing', async () => {
  const agent = await create({ text: '> /exit\nTokens: 9.9M sent, 9.9M received. Cost: $1000.00 message, $1000.00 session.\n' },
    { stderr: 'Cost: $1000.00 message, $1000.00 session.\n> ' },
    { raw: 'Cost: $1000.00 message' }, { raw: '{"state":"failed"}' }, { raw: 'agent/1 state 1 v1' }, { raw: '[]' }, { raw: '{"jsonrpc":"2.0"' });
  await finishes(agent);
  const row = await stack.ask('agent.show', { agent });
  assert.equal(row.dollars, 0);
  assert.equal(row.tokens_in, 0);
  assert.equal(row.state, 'done');
  assert.deepEqual(await stack.events(agent, ['usage']), []);
});

test('one text of 300 KiB is cut at a character and marked', async () => {
  const agent = await create({ text: '\u20ac'.repeat(100000) });
  const bodies = await finishes(agent);
  const cut = bodies.filter((b) => b.cut);
  assert.equal(cut.length, 1);
  assert.match(cut[0].text, /^\u20ac+$/);
  assert.ok(Buffer.byteLength(cut[0].text) > PIECE_MAX - 4);
});

// The highest memory of the worker, before and after: of its own, without shared libraries.
async function memoryKib(pid) {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Private_Dirty:\s+(\d+)/m.exec(text)[1]);
}

// A number a second from another agent: how long the longest silence between two was.
function watchBeat(agent) {
  const at = [];
  let over = false;
  const watching = stack.until((e) => {
    if (e.kind === 'output' && /ns=/.test(e.body.text)) at.push(Date.now());
    return over || (e.kind === 'state' && e.body.state === 'done');
  }, 'the beat to end', 120000, { agent });
  return async () => {
    over = true;
    await watching;
    return Math.max(...at.slice(1).map((t, i) => t - at[i]));
  };
}

test('100 MB without a newline, as fast as it goes: bounded memory, nobody else waits', { timeout: 120000 * patience }, async (t) => {
  const beat = await create({ flood: { lines: 400, size: 40, rate: 20 } });
  await stack.until((e) => e.kind === 'output' && /ns=/.test(e.body.text), 'the beat', 30000, { agent: beat });
  for (const fd of [1, 2]) {
    const agent = await create({ silence_ms: 500 }, { flood: { fd, bytes: 100 << 20 } }, { raw: '' });
    const { pid } = await stack.ask('agent.show', { agent });
    const before = await memoryKib(pid);
    const silence = watchBeat(beat);
    let highest = before, over = false;
    const started = Date.now();
    const ended = stack.untilState(agent, ['done', 'failed'], 60000).finally(() => { over = true; });
    while (!over) {
      highest = Math.max(highest, await memoryKib(pid).catch(() => 0));
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
    const bodies = await finishes(agent);
    const longest = await silence();
    t.diagnostic(`to ${fd}: the worker grew by ${highest - before} KiB in ${Date.now() - started} ms, the longest silence of the other agent was ${longest} ms`);
    if (mode === 'release') assert.ok(highest - before <= GROWTH_MAX_KIB, `the worker grew by ${highest - before} KiB`);
    assert.ok(longest < 3000 * patience, `another agent waited ${longest} ms`);
    const told = bodies.filter((b) => b.stream !== 'agent' && b.text.startsWith('xxx'));
    assert.ok(told.length > 0 && told.reduce((sum, b) => sum + b.text.length, 0) <= 2 * PIECE_MAX, 'one line is told once, cut');
    assert.ok(fd === 2 ? told.some((b) => b.cut) : textOf(bodies, 'log').includes('xxx (cut)\n'), 'and marked');
  }
  await stack.ask('agent.stop', { agent: beat });
});

test('a message of the protocol that never ends: no more than its bound is kept, and it is said', async (t) => {
  const LINE_MAX_KIB = 16 * 1024; // ACP_LINE_MAX: a file's old and new text are in one line
  const agent = await create({ silence_ms: 300 }, { flood: { hex: hex('{'), bytes: 40 << 20 } }, { raw: '' });
  const { pid } = await stack.ask('agent.show', { agent });
  const before = await memoryKib(pid);
  let highest = before, over = false;
  const told = stack.until((e) => ['output', 'trouble', 'state'].includes(e.kind) && /longer than \d+ bytes/.test(JSON.stringify(e.body)), 'the reason', 60000, { agent })
    .finally(() => { over = true; });
  while (!over) {
    highest = Math.max(highest, await memoryKib(pid).catch(() => 0));
    await Promise.race([told, new Promise((resolve) => setTimeout(resolve, 10))]);
  }
  await stack.ask('agent.stop', { agent });
  await stack.untilState(agent, 'stopped');
  t.diagnostic(`the worker grew by ${highest - before} KiB`);
  if (mode === 'release') assert.ok(highest - before <= LINE_MAX_KIB + GROWTH_MAX_KIB, `the worker grew by ${highest - before} KiB`);
});

// --- sockets ---

const greeting = (protocol) => Buffer.from([0, 0x53, 0x50, 0, 0, protocol, 0, 0]);
const REQ = 0x30, PUB = 0x20, SUB = 0x21;

function frame(body, said = body.length) {
  const head = Buffer.alloc(9);
  head[0] = 1;
  head.writeBigUInt64BE(BigInt(said), 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

// Connects, sends, and resolves with what was answered once the other side has hung up.
async function hangUp(socketName, bytes) {
  const socket = connect(path.join(stack.runDir, socketName));
  const got = [];
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('data', (chunk) => got.push(chunk)).on('error', () => {}); // reset by peer: as wanted
  socket.write(bytes);
  await deadline(closed, 10000 * patience, `${socketName}: the end of a connection`);
  return Buffer.concat(got);
}

const request = (text) => frame(Buffer.concat([Buffer.from([0x80, 0, 0, 1]), Buffer.from(text)]));

test('malformed frames cost their sender the connection, nobody else', async () => {
  const agents = (await stack.ask('status')).agents;
  for (const [name, protocol] of [['control.ipc', REQ], ['ingest.ipc', PUB], ['events.ipc', SUB]]) {
    await hangUp(name, 'GET / HTTP/1.1\r\n\r\n');
    await hangUp(name, greeting(0x7f));
    await hangUp(name, Buffer.concat([greeting(protocol), frame('x', 2 ** 40)]));
    await hangUp(name, Buffer.concat([greeting(protocol), Buffer.alloc(9, 0xff)]));
  }
  for (const text of ['x', '{', '[]', '\0', '{"jsonrpc":"1.0","id":"a","method":"status"}', '"\xff"']) {
    const answer = await hangUp('control.ipc', Buffer.concat([greeting(REQ), request(text)]));
    assert.match(answer.toString(), /"code":-326|"code":-327/, 'told why');
  }
  await hangUp('control.ipc', Buffer.concat([greeting(REQ), frame('no')])); // no way back
  for (const text of ['', 'x', 'agent/1 output 1 v1', 'agent/1 output 0 v1\n{}', 'agent/1 output 1 v1\n{', `agent/1 ${'k'.repeat(9000)}`,
    'agent/1 output 1 v1\n{"text":"\xff"}']) {
    await hangUp('ingest.ipc', Buffer.concat([greeting(PUB), frame(Buffer.from(text, 'latin1'))]));
  }
  assert.deepEqual((await stack.ask('status')).agents, agents, 'nothing changed');
});

test('sockets are their owner\'s alone', async (t) => {
  assert.equal((await stat(stack.runDir)).mode & 0o777, 0o700);
  for (const name of ['control.ipc', 'ingest.ipc', 'events.ipc']) assert.equal((await stat(path.join(stack.runDir, name))).mode & 0o777, 0o600, name);
  if (process.getuid() !== 0) {
    t.skip('only root can be somebody else for a moment');
    return;
  }
  // Somebody loosens the modes: the peer's uid still counts.
  const loosened = [[stack.dir, 0o711, 0o700], [stack.runDir, 0o711, 0o700], ...['control.ipc', 'ingest.ipc', 'events.ipc']
    .map((name) => [path.join(stack.runDir, name), 0o666, 0o600])];
  for (const [file, open] of loosened) await chmod(file, open);
  try {
    const { stdout } = await run('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', 'nngcat', '--req0',
      '--dial', stack.url('control.ipc'), '--raw', '--recv-timeout', '1', '--send-timeout', '1', '--data', '{"jsonrpc":"2.0","id":"a","method":"status"}']);
    assert.equal(stdout, '');
    assert.match(stack.supervisor.log, /another user/);
  } finally {
    for (const [file, , shut] of loosened) await chmod(file, shut);
  }
});
