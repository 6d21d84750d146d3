// What a test asks of the page: requests to its REST interface and its event streams.
import assert from 'node:assert/strict';
import http from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { deadline, patience, support } from './stack.mjs';

export function pageOf(stack) {
  // One request; body is sent as it is. Answers {status, headers, text, json}.
  function ask(method, target, { headers = {}, body, token = stack.token, port = stack.port } = {}) {
    return new Promise((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port, method, path: target, agent: false,
        headers: { host: `localhost:${port}`, ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(body !== undefined ? { 'content-length': Buffer.byteLength(body) } : {}), ...headers } }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk) => { text += chunk; });
        answer.on('end', () => {
          let json;
          try { json = JSON.parse(text); } catch { json = undefined; }
          resolve({ status: answer.statusCode, headers: answer.headers, text, json });
        });
        answer.on('error', reject);
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  const api = (method, target, value, options = {}) => ask(method, `/api/v1${target}`, value === undefined ? options :
    { ...options, body: JSON.stringify(value), headers: { 'content-type': 'application/json', ...options.headers } });

  // An open event stream: `events` grows; until(test) waits for one.
  function openStream(query = '', { headers = {}, port = stack.port } = {}) {
    const stream = { events: [], ids: [], retry: undefined, waiting: [] };
    stream.opened = new Promise((resolve, reject) => {
      stream.request = http.get({ host: '127.0.0.1', port, path: `/api/v1/events${query}`, agent: false,
        headers: { host: `localhost:${port}`, authorization: `Bearer ${stack.token}`, ...headers } }, (answer) => {
        stream.status = answer.statusCode;
        stream.headers = answer.headers;
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
          for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) take(text.slice(0, end));
          for (const wake of stream.waiting.splice(0)) wake();
          resolve();
        });
        answer.on('error', () => {});
        stream.closed = new Promise((done) => answer.on('close', done));
        if (answer.statusCode !== 200) answer.on('end', resolve);
      });
      stream.request.on('error', reject);
    });
    const take = (block) => {
      const event = {};
      for (const line of block.split('\n')) {
        const [, name, value] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
        if (name === 'id') stream.last = Number(value);
        if (name === 'retry') stream.retry = Number(value);
        if (name) event[name] = value;
      }
      if (event.data) {
        const data = JSON.parse(event.data);
        assert.equal(event.event, data.kind);
        assert.equal(Number(event.id), data.id);
        stream.events.push(data);
        stream.ids.push(data.id);
      }
    };
    stream.until = (wanted, what) => deadline((async () => {
      for (;;) {
        const found = stream.events.find(wanted);
        if (found) return found;
        await new Promise((wake) => stream.waiting.push(wake));
      }
    })(), 30000 * patience, what);
    stream.close = () => { stream.request.on('error', () => {}); stream.request.destroy(); };
    return stream;
  }

  // A closed stream is noticed within a second and given back then.
  async function openWhenFree(query, options) {
    return await deadline((async () => {
      for (;;) {
        const stream = openStream(query, options);
        await stream.opened;
        if (stream.status === 200) return stream;
        await setTimeout(100);
      }
    })(), 20000 * patience, 'a stream to be free');
  }

  async function create(repository, script, options = {}) {
    await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '-e', JSON.stringify(script)] } });
    const answer = await api('POST', '/tasks', { repository, tasks: [{ title: 'change it', description: 'Write.' }], manager: false, ...options });
    assert.equal(answer.status, 201, answer.text);
    return answer.json.tasks[0].agents[0];
  }

  return { ask, api, openStream, openWhenFree, create };
}
