// What a browser does with the page's event stream: it takes what comes, and when the stream
// breaks it asks again from the last id that it has.
import { readFileSync } from 'node:fs';
import http from 'node:http';

const AGAIN_MS = 20;

export class Browser {
  // tokenFile: is there once the page answers
  constructor(port, tokenFile) {
    this.port = port;
    this.tokenFile = tokenFile;
    this.events = []; // { id, kind, … } in the order of arrival
    this.streams = 0;
    this.last = 0;
    this.waiting = [];
    this.open();
  }

  open() {
    let token = '';
    try {
      token = readFileSync(this.tokenFile, 'utf8').trim();
    } catch {
      // not yet: refused, and asked again
    }
    this.request = http.get({ host: '127.0.0.1', port: this.port, path: '/api/v1/events?after=0', agent: false,
      headers: { host: `localhost:${this.port}`, authorization: `Bearer ${token}`, ...(this.last ? { 'last-event-id': String(this.last) } : {}) } }, (answer) => {
      if (answer.statusCode !== 200) {
        answer.resume();
      } else {
        this.streams++;
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
          for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) this.take(text.slice(0, end));
          for (const wake of this.waiting.splice(0)) wake();
        });
      }
      answer.on('error', () => {});
      answer.on('close', () => this.again());
    });
    this.request.on('error', () => this.again());
  }

  again() {
    if (!this.stopped) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.open(), AGAIN_MS);
    }
  }

  // An id without data is a position only; it counts all the same.
  take(block) {
    const event = {};
    for (const line of block.split('\n')) {
      const [, name, value] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
      if (name) event[name] = value;
    }
    if (event.id) this.last = Number(event.id);
    if (event.data) this.events.push(JSON.parse(event.data));
  }

  // Resolves once it has all up to this id.
  async reaches(id) {
    while (this.last < id) await new Promise((wake) => this.waiting.push(wake));
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.request.destroy();
  }
}

// What it saw is the store's log: all of it, once, in order, word for word. deleted: topics
// whose events are gone from the store. lost: kinds of which some may be gone as well.
export function checkBrowser(browser, events, deleted, problems, lost = () => false) {
  const stored = new Map(events.map((e) => [e.id, e]));
  const seen = new Set();
  let before = 0;
  for (const { id, kind, stream, subject, body } of browser.events) {
    const e = stored.get(id);
    if (id <= before) problems.push(`the browser got event ${id} after ${before}`);
    before = id;
    seen.add(id);
    if (!e && !deleted.has(`${stream}/${subject}`) && !lost(kind)) problems.push(`the browser got event ${id}, which is not in the store`);
    else if (e && JSON.stringify([e.kind, e.stream, e.subject, e.body]) !== JSON.stringify([kind, stream, subject, body])) {
      problems.push(`the browser got event ${id} as ${kind} of ${stream}/${subject}, the store has another`);
    }
  }
  const missing = events.filter((e) => !seen.has(e.id) && e.id <= browser.last);
  if (missing.length) problems.push(`the browser missed ${missing.length} events, the first is ${missing[0].id}`);
}
