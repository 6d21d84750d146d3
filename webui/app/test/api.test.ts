// The page and the REST interface's own description: every request of the page is in it, and
// every operation is one that the page uses, or one of those named here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import openapi from '../../openapi.json';
import { api } from '../src/api';
import { DEEDS } from '../src/deeds';

const NOT_OF_THE_PAGE: Record<string, string> = {
  'GET /status': 'health has more',
  'GET /tasks': 'the board shows agents, a task is shown with its own',
  'POST /agents/all/tell': 'told one by one, so that each failure has its name',
  'GET /agents/{id}/output': 'the story is read by events, of which output is one kind',
  'GET /openapi.json': 'for programs',
  'GET /events': 'read by stream.ts',
};

const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
  Object.keys(methods).filter((name) => name !== 'parameters').map((method) => `${method.toUpperCase()} ${path}`));

// What each function of the page asks for; "all" is the only word where a number may stand.
async function asked(what: () => Promise<unknown>): Promise<string> {
  let seen = '';
  globalThis.fetch = (async (url: string, { method }: RequestInit) => {
    seen = `${method} ${new URL(url, 'http://page').pathname}`;
    return new Response('{}', { status: 200 });
  }) as typeof fetch;
  await what();
  return seen.replace('/api/v1', '').replace(/\/\d+(?=\/|$)/g, '/{id}');
}

test('requests of the page and operations of the REST interface are the same', async () => {
  const used = new Set<string>();
  for (const [name, call] of Object.entries(api) as [string, (...given: unknown[]) => Promise<unknown>][]) {
    if (name === 'control') continue;

    const given = name === 'events' ? [7, ['state'], { limit: 1 }] : name === 'activity' ? [{}] : [7, 7, 7, 7];
    used.add(await asked(() => call(...given)));
    if (name === 'archive') used.add(await asked(() => call(7, true))).add(await asked(() => call(7, false)));
  }
  for (const deed of Object.keys(DEEDS)) {
    if (!['archive', 'unarchive', 'delete'].includes(deed)) used.add(await asked(() => api.control(7, deed as 'pause')));
  }
  for (const one of used) assert.ok(operations.includes(one), `${one} is not in openapi.json`);
  for (const one of operations) {
    assert.ok(used.has(one) !== one in NOT_OF_THE_PAGE, `${one}: ${used.has(one) ? 'is used after all' : 'the page does not have it'}`);
  }
});
