// The event streams of the page: in order, complete over its death, and bounded.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { pageOf } from '../support/page.mjs';
import { makeRepository, startStack } from '../support/stack.mjs';

let stack, repository, api, openStream, openWhenFree, create;

before(async () => {
  stack = await startStack();
  repository = await makeRepository(stack.dir);
  await stack.startWebui();
  ({ api, openStream, openWhenFree, create } = pageOf(stack));
});

after(async () => {
  assert.deepEqual(await stack.stop(), []);
});

test('a stream begins at the present, filters, and tells its position', async () => {
  const everything = openStream();
  const some = openStream('?kinds=state,turn');
  await Promise.all([everything.opened, some.opened]);
  assert.equal(everything.headers['content-type'], 'text/event-stream');
  assert.equal(everything.headers['cache-control'], 'no-store');
  assert.equal(everything.retry, 1000);
  const position = everything.last;
  assert.equal(position, (await api('GET', '/status')).json.last_event);
  const agent = await create(repository, { turns: [{ steps: [{ text: 'Writing <b>.\n' }, { write: { path: 'hello.txt', text: 'hello\n' } }, { commit: 'Say hello' }] }] });
  const isDone = (e) => e.kind === 'state' && e.subject === agent && e.body.state === 'done';
  await Promise.all([everything.until(isDone, 'done'), some.until(isDone, 'done')]);
  const last = everything.events.find(isDone).id;
  const stored = (await stack.ask('events.after', { after: position, limit: 1000 })).events.filter((e) => e.id <= last);
  assert.deepEqual(everything.ids.filter((id) => id <= last), stored.map((e) => e.id));
  const bodyOf = (e) => (typeof e.body === 'string' ? JSON.parse(e.body) : e.body);
  assert.deepEqual(everything.events.filter((e) => e.id <= last).map((e) => e.body), stored.map(bodyOf));
  assert.deepEqual(some.ids.filter((id) => id <= last), stored.filter((e) => ['state', 'turn'].includes(e.kind)).map((e) => e.id));
  const one = openStream(`?after=0&agent=${agent}`);
  await one.until(isDone, 'done from the store');
  assert.ok(one.events.every((e) => e.stream === 'agent' && e.subject === agent));
  assert.deepEqual(one.ids.filter((id) => id <= last), stored.filter((e) => e.stream === 'agent' && e.subject === agent).map((e) => e.id));
  for (const stream of [everything, some, one]) stream.close();
});

// Another webui of the same store is the one that is killed: the first notices nothing.
test('a killed webui and Last-Event-ID: nothing missed, nothing doubled', async () => {
  const { webui: first, port: firstPort } = stack;
  const agent = await create(repository, { turns: [{ steps: [{ flood: { lines: 300, size: 40, rate: 200 } }, { text: 'the end\n' }] }] });
  const from = (await api('GET', `/agents/${agent}`)).json.last_event;
  const seen = [];
  await stack.startWebui();
  const { port } = stack;
  let stream = openStream(`?after=${from}`);
  for (let kills = 0; kills < 2; kills++) {
    await stream.until((e) => e.kind === 'output' && e.subject === agent && !seen.includes(e.id), 'some output');
    stack.webui.kill('SIGKILL');
    await Promise.all([stack.webui.ended, stream.closed]);
    seen.push(...stream.ids);
    const { last } = stream;
    stream.close();
    await stack.startWebui({ port });
    // The browser repeats the address it began with; its position counts.
    stream = openStream(`?after=${from}`, { headers: { 'last-event-id': String(last) } });
    await stream.opened;
  }
  const end = await stream.until((e) => e.kind === 'state' && e.subject === agent && e.body.state === 'done', 'done');
  seen.push(...stream.ids);
  stream.close();
  stack.webui.kill('SIGTERM');
  assert.deepEqual(await stack.webui.ended, { code: 0, signal: null });
  Object.assign(stack, { webui: first, port: firstPort });
  assert.equal((await api('GET', `/agents/${agent}`)).json.state, 'done');
  const stored = [];
  for (let after = from; ;) {
    const { events, last } = await stack.ask('events.after', { after, limit: 1000 });
    if (!events.length) break;
    stored.push(...events.map((e) => e.id));
    after = last;
  }
  assert.deepEqual(seen.filter((id) => id <= end.id), stored.filter((id) => id <= end.id));
});

test('streams have a cap, and pages still answer at it', async () => {
  const streams = Array.from({ length: 200 }, () => openStream());
  await Promise.all(streams.map((s) => s.opened));
  // Those of earlier tests may still be counted until their closing is noticed.
  assert.ok(streams.filter((s) => s.status === 200).length >= 190);
  const more = await api('GET', '/events');
  assert.equal(more.status, 503);
  assert.ok(Number(more.headers['retry-after']) > 0);
  assert.equal((await api('GET', '/agents')).status, 200);
  for (const stream of streams) stream.close();
  (await openWhenFree()).close();
});
