// An agent's output by line and a text looked for in it, against what it says when all of
// it is read; and what that costs, packed too (HUNDREDX_LINES: how many there are).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { deadline, mode, patience, program, root, run, spentMs, startStack } from '../support/stack.mjs';

const probe = path.join(root, 'build', mode, 'unit/supervisor/output_probe');
const PLAIN = Number(process.env.HUNDREDX_LINES ?? 100000);
let stack, wild, plain, whole;

const api = async (target) => {
  const answer = await fetch(`http://localhost:${stack.port}/api/v1${target}`, { headers: { authorization: `Bearer ${stack.token}` } });
  return { status: answer.status, json: await answer.json() };
};
const get = async (target) => {
  const { status, json } = await api(target);
  assert.equal(status, 200, `${target}: ${JSON.stringify(json)}`);
  return json;
};

async function fill(lines, seed, kind) {
  const { code, stdout, stderr } = await run(probe, [path.join(stack.stateDir, 'tasks.db'), String(lines), String(seed), kind]);
  assert.equal(code, 0, stderr);
  return Number(stdout);
}

before(async () => {
  stack = await startStack();
  stack.supervisor.kill('SIGTERM');
  await stack.supervisor.ended;
  wild = await fill(3000, process.env.SEED ?? 7, 'wild');
  plain = await fill(PLAIN, 1, 'plain');
  await stack.startWebui();
  const texts = [];
  for (let last = 0, more = true; more;) {
    const page = await get(`/agents/${wild}/events?after=${last}&kinds=output&limit=1000`);
    texts.push(...page.events.map((e) => e.body.text));
    ({ last, more } = page);
  }
  whole = texts.join('').split('\n');
});

after(async () => {
  assert.deepEqual(await stack.stop(), []);
});

test('any page holds its lines, wherever it begins', async () => {
  const agent = await get(`/agents/${wild}`);
  assert.equal(agent.lines, whole.length);
  assert.equal(agent.last_line, 'open end');
  let seed = 5;
  const draw = (n) => { seed = (seed * 48271) % 2147483647; return seed % n; };
  for (let i = 0; i < 150; i++) {
    const limit = 1 + draw(200);
    const asked = i % 3 ? draw(whole.length) : -1 - draw(whole.length);
    const line = asked < 0 ? whole.length + asked : asked;
    const page = await get(`/agents/${wild}/output?line=${asked}&limit=${limit}`);
    assert.equal(page.lines, whole.length);
    const got = page.events.map((e) => e.body.text).join('').split('\n');
    assert.ok(page.first_line <= line && page.events.every((e) => e.kind === 'output' && e.at > 0));
    const wanted = whole.slice(line, line + limit);
    assert.deepEqual(got.slice(line - page.first_line, line - page.first_line + wanted.length), wanted, `line ${line}, ${limit}`);
    assert.equal(page.more, page.first_line + got.length < whole.length, `more at ${line}, ${limit}`);
    // Nothing that belongs to no wanted line.
    const first = page.events[0].body.text;
    assert.ok(page.first_line + first.split('\n').length - 1 - (first.endsWith('\n') ? 1 : 0) >= line);
  }
  const behind = await get(`/agents/${wild}/output?line=${whole.length}`);
  assert.deepEqual(behind, { lines: whole.length, first_line: whole.length, more: false, events: [] });
  const little = await get(`/agents/${wild}/output?bytes=1`);
  assert.equal(little.events.length, 1);
  assert.equal(little.more, true);
});

test('a search finds each line that has the text, and no other', async () => {
  const fold = (text) => text.replace(/[A-Z]/g, (c) => c.toLowerCase());
  for (const text of ['needle', 'NEEDLEneedle', 'betaalpha gamma ray', 'a', 'Ö', 'open end', '\\u000a', '"quoted"', 'needle\u001b[31mneedle', 'is nowhere']) {
    const wanted = whole.flatMap((line, i) => (fold(line).includes(fold(text)) ? [i] : []));
    const got = [];
    for (let more = true, from = -1; more;) {
      const answer = await get(`/agents/${wild}/search?q=${encodeURIComponent(text)}&limit=300${from >= 0 ? `&after_line=${from}` : ''}`);
      for (const hit of answer.hits) {
        assert.ok(fold(hit.text).includes(fold(text)), `${text} in ${hit.text}`);
        got.push(hit.line);
      }
      more = answer.more;
      from = Math.max(answer.line, answer.hits.at(-1)?.line ?? -1);
    }
    assert.deepEqual(got, wanted, text);
  }
  for (const query of ['', '?q=', '?q=a%0Ab', `?q=${'x'.repeat(300)}`, '?q=a&after_line=x']) {
    assert.equal((await api(`/agents/${wild}/search${query}`)).status, 400, query);
  }
  assert.equal((await api('/agents/999/search?q=a')).status, 404);
  assert.equal((await api('/agents/999/output')).status, 404);
});

// What the page's process spends on each of some requests, in ms: the median of what each
// took at its cheapest of three, as other programs that take the caches away make it dearer.
async function costs(targets) {
  const took = [];
  for (const target of targets) {
    const tries = [];
    for (let i = 0; i < 3; i++) {
      const before = spentMs(stack.webui.pid);
      await get(target);
      tries.push(spentMs(stack.webui.pid) - before);
    }
    took.push(Math.min(...tries));
  }
  return took.sort((x, y) => x - y)[took.length >> 1];
}

async function quick(what) {
  const last = String(PLAIN - 1).padStart(7, '0');
  const page = await costs(Array.from({ length: 31 }, (_, i) => `/agents/${plain}/output?line=${Math.floor(i * PLAIN / 31)}&limit=1000`));
  const end = await costs(Array.from({ length: 11 }, () => `/agents/${plain}/output?line=-1000`));
  const hit = await costs(Array.from({ length: 5 }, () => `/agents/${plain}/search?q=${last}&limit=1`));
  const none = await costs(Array.from({ length: 5 }, () => `/agents/${plain}/search?q=nowhere%20to%20be%20found`));
  console.log(`${PLAIN} lines${what}: page ${page.toFixed(2)} ms, last page ${end.toFixed(2)} ms, search of the last line ${hit.toFixed(2)} ms, of none ${none.toFixed(2)} ms`);
  assert.equal((await get(`/agents/${plain}/search?q=${last}`)).hits[0].line, PLAIN - 1);
  assert.ok(page <= 5 * patience && end <= 5 * patience, `a page: ${page} ms, ${end} ms`);
  assert.ok(hit <= 150 * patience && none <= 150 * patience, `a search: ${hit} ms, ${none} ms`);
}

test('pages and searches of a long output are quick', () => quick(''));

test('and when the output is packed', async () => {
  const sql = async (text) => (await run('sqlite3', ['-cmd', '.timeout 5000', path.join(stack.stateDir, 'tasks.db'), text])).stdout.trim();
  // As if they had ended long ago.
  await sql('UPDATE agents SET ended_at = 1000');
  await stack.startSupervisor();
  await stack.ask('config.set', { general: { compress_after_minutes: 0 } });
  await deadline((async () => {
    while (await sql(`SELECT packed FROM agents WHERE id = ${plain}`) !== '1') await once(stack.supervisor.stderr, 'data');
  })(), 60000 * patience, 'the output to be packed');
  assert.equal(await sql(`SELECT count(*) FROM events WHERE subject = ${plain} AND kind = 'output'`), '0');
  await quick(', packed');
});
