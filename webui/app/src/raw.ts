// An agent's output for the terminal: pages of events from the store and the news, in
// order, each once. The writing of its streams is told apart by how it looks.
import { api } from './api';
import { text, type Event } from './types';
import type { Watch } from './watch';

export const LINES_FIRST = 2000;
const PAGE = { limit: 1000, bytes: 220_000 };

const LOOKS: Record<string, string> = { thought: '\u001b[3;90m', log: '\u001b[90m', stderr: '\u001b[33m' };

// Turns events into what is written; knows the stream that was written last.
export class Writer {
  private stream = 'agent';
  private line = true;

  write({ body }: Event): string {
    const stream = text(body['stream']) || 'agent';
    let piece = text(body['text']);
    if (body['cut'] === true) piece += '\n… (cut)\n';
    if (!piece) return '';
    let before = '';
    if (stream !== this.stream) {
      before = `${this.line ? '' : '\r\n'}\u001b[0m${LOOKS[stream] ?? ''}`;
      this.stream = stream;
    }
    this.line = piece.endsWith('\n');
    return before + piece;
  }
}

// The last lines of a text, and how many there are.
export function lastLines(pieces: readonly string[], max: number): string[] {
  let lines = 0;
  for (let i = pieces.length - 1; i >= 0; i--) {
    const piece = pieces[i] ?? '';
    for (let at = piece.lastIndexOf('\n'); at >= 0; at = at ? piece.lastIndexOf('\n', at - 1) : -1) {
      if (++lines > max) return [piece.slice(at + 1), ...pieces.slice(i + 1)];
    }
  }
  return [...pieces];
}

const textOf = ({ body }: Event): string => text(body['text']);
const lineCount = (events: readonly Event[]): number => events.reduce((sum, event) => sum + textOf(event).split('\n').length - 1, 0);

// No more than the terminal itself keeps.
const BYTES_MAX = 4 << 20;
const KEPT_LINES = 10000;

export class Output {
  private events: Event[] = [];
  private last = 0;
  private bytes = 0;
  private held: Event[] | null = [];
  earlier = false;
  // An older part is looked at: what comes is only in the store.
  detached = false;

  constructor(private readonly agent: number) {}

  // The newest part.
  async load(): Promise<readonly Event[]> {
    this.held = [];
    const { events, more } = await api.events(this.agent, ['output'], PAGE);
    this.keep(sorted(events));
    this.earlier = more;
    this.detached = false;
    this.last = this.events.at(-1)?.id ?? 0;
    const late = this.held;
    this.held = null;
    for (const event of late) this.add(event);
    return this.events;
  }

  // One page more at the front; all of the window is returned.
  async loadEarlier(): Promise<readonly Event[]> {
    const { events, more } = await api.events(this.agent, ['output'], { ...PAGE, before: this.events[0]?.id });
    let all = [...sorted(events), ...this.events];
    while (all.length > 1 && (lineCount(all) > KEPT_LINES || sizeOf(all) > BYTES_MAX)) {
      all = all.slice(0, Math.max(1, Math.floor(all.length * 0.8)));
      this.detached = true;
    }
    this.keep(all);
    this.earlier = more;
    return this.events;
  }

  // News; false: it was there already, or is not to be shown now.
  add(event: Event): boolean {
    if (this.held) {
      this.held.push(event);
      return false;
    }
    if (event.id <= this.last || this.detached) return false;
    this.last = event.id;
    this.events.push(event);
    this.bytes += textOf(event).length;
    if (this.bytes > BYTES_MAX) {
      this.keep(this.events.slice(Math.ceil(this.events.length / 2)));
      this.earlier = true;
    }
    return true;
  }

  follow(watch: Watch, hear: (event: Event) => void): () => void {
    return watch.hear((event) => {
      if (event.kind === 'output' && this.add(event)) hear(event);
    });
  }

  private keep(events: Event[]): void {
    this.events = events;
    this.bytes = sizeOf(events);
  }
}

const sizeOf = (events: readonly Event[]): number => events.reduce((sum, event) => sum + textOf(event).length, 0);
const sorted = (events: readonly Event[]): Event[] => [...events].sort((a, b) => a.id - b.id);
