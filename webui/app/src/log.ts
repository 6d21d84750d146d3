// A window of what one agent did, as entries to show: pieces of text that grow, and facts.
// It is contiguous and bounded: what is beyond its ends is in the store, to be put before
// or after it.
import { computed, signal, type Signal } from '@preact/signals';
import { Cleaner } from './clean';
import { number, text, type Event } from './types';

export interface TextEntry {
  type: 'text';
  key: number;
  first: number;
  channel: string;
  turn: number;
  text: Signal<string>;
  lines: number;
}

export interface FactEntry {
  type: 'fact';
  key: number;
  first: number;
  event: Signal<Event>;
}

export type Entry = TextEntry | FactEntry;

// What lies in one turn; 0: before the first.
export interface Group {
  turn: number;
  entries: readonly Entry[];
}

// Kinds that make entries; the rest changes the header.
export const LOG_KINDS = [
  'output', 'turn', 'decision', 'tool', 'commit', 'message', 'permission', 'test', 'finish', 'pull_request', 'trouble', 'state', 'workspace',
] as const;

export const LINES_MAX = 5000;
// While a person reads further up nothing is taken from under them, within reason.
export const LINES_MAX_READING = 20000;
const ENTRY_TEXT_MAX = 8192;
const LINE_WIDTH = 200;
// A fact takes about this many lines of a screen.
const FACT_LINES = 2;

export class Log {
  readonly entries = signal<readonly Entry[]>([]);
  // Rises with each change of any text, for what follows the end.
  readonly version = signal(0);
  // There is more before the window, and after it.
  readonly earlier = signal(false);
  readonly later = signal(false);
  reading = false;

  private known: readonly Group[] = [];
  // A turn whose entries are the same as before stays the same object.
  readonly groups = computed<readonly Group[]>(() => {
    this.known = grouped(this.entries.value).map((group) => this.known.find((old) => sameGroup(old, group)) ?? group);
    return this.known;
  });

  private lines = 0;
  private cleaners = new Map<string, Cleaner>();
  private facts = new Map<string, FactEntry>();
  // The state told last: supervisor and worker both tell that an agent is starting.
  private state = '';

  // The oldest event shown, to ask for those before it.
  get first(): number | undefined {
    return this.entries.value[0]?.first;
  }

  // The newest event that is in the window, to ask for those after it.
  last = 0;

  append(events: readonly Event[]): void {
    const made: Entry[] = [];
    let open = this.entries.value.at(-1);
    for (const event of events) {
      const entry = event.kind === 'output' ? this.text(event, open, this.cleaners) : this.fact(event, this.facts);
      if (!entry) continue;
      made.push(entry);
      open = entry;
    }
    this.last = Math.max(this.last, events.at(-1)?.id ?? 0);
    if (made.length) this.entries.value = this.trim([...this.entries.value, ...made]);
    this.version.value++;
  }

  // Older events than all that is shown.
  prepend(events: readonly Event[]): void {
    const made: Entry[] = [];
    const cleaners = new Map<string, Cleaner>();
    const facts = new Map(this.facts);
    let open: Entry | undefined;
    for (const event of events) {
      const newer = event.kind !== 'output' && this.facts.get(factKey(event) ?? '');
      if (newer) continue;
      const entry = event.kind === 'output' ? this.text(event, open, cleaners) : this.fact(event, facts);
      if (!entry) continue;
      made.push(entry);
      open = entry;
    }
    this.entries.value = this.trimEnd([...made, ...this.entries.value]);
  }

  clear(): void {
    this.entries.value = [];
    this.last = 0;
    this.later.value = false;
    this.earlier.value = false;
    this.lines = 0;
    this.state = '';
    this.cleaners.clear();
    this.facts.clear();
  }

  // Back at the end: what was kept only for reading may go.
  settle(): void {
    this.reading = false;
    const kept = this.trim([...this.entries.value]);
    if (kept.length !== this.entries.value.length) this.entries.value = kept;
  }

  private text({ id, body }: Event, open: Entry | undefined, cleaners: Map<string, Cleaner>): TextEntry | null {
    const channel = text(body['stream']) || 'agent';
    const turn = number(body['turn']);
    const stream = `${turn} ${channel}`;
    let cleaner = cleaners.get(stream);
    if (!cleaner) {
      if (cleaners.size > 64) cleaners.clear();
      cleaners.set(stream, (cleaner = new Cleaner()));
    }
    const piece = cleaner.push(text(body['text'])) + (body['cut'] === true ? '\n… (cut)\n' : '');
    if (!piece) return null;
    // A line of the screen, roughly: text without line breaks takes room as well.
    const lines = piece.split('\n').length - 1 + piece.length / LINE_WIDTH;
    this.lines += lines;
    if (open?.type === 'text' && open.channel === channel && open.turn === turn) {
      const was = open.text.peek();
      if (was.length + piece.length <= ENTRY_TEXT_MAX) {
        open.text.value = was + piece;
        open.lines += lines;
        return null;
      }
    }
    return { type: 'text', key: id, first: id, channel, turn, text: signal(piece), lines };
  }

  private fact(event: Event, facts: Map<string, FactEntry>): FactEntry | null {
    // The list of turns and the header tell these; a state only matters when it ends something.
    if (event.kind === 'turn' && event.body['phase'] !== 'started' && event.body['stop_reason'] === 'end_turn') return null;
    if (event.kind === 'decision' && !text(event.body['reason']) && !text(event.body['action'])) return null;
    if (event.kind === 'state' && facts === this.facts) {
      const told = `${text(event.body['state'])} ${text(event.body['reason'])}`;
      if (told === this.state) return null;
      this.state = told;
    }
    const key = factKey(event);
    const known = key ? facts.get(key) : undefined;
    if (known) {
      known.event.value = event;
      if (isLast(event)) facts.delete(key ?? '');
      return null;
    }
    const entry: FactEntry = { type: 'fact', key: event.id, first: event.id, event: signal(event) };
    if (key && !(event.kind === 'finish' && isLast(event))) facts.set(key, entry);
    this.lines += FACT_LINES;
    return entry;
  }

  private trim(entries: Entry[]): Entry[] {
    const max = this.reading ? LINES_MAX_READING : LINES_MAX;
    let drop = 0;
    while (this.lines > max && drop < entries.length - 1) {
      const entry = entries[drop++];
      this.lines -= entry?.type === 'text' ? entry.lines : FACT_LINES;
      if (entry?.type === 'fact') this.facts.delete(factKey(entry.event.peek()) ?? '');
    }
    if (drop) this.earlier.value = true;
    return drop ? entries.slice(drop) : entries;
  }

  // The window has moved back: its newest entries leave it.
  private trimEnd(entries: Entry[]): Entry[] {
    let keep = entries.length;
    while (this.lines > LINES_MAX_READING && keep > 1) {
      const entry = entries[--keep] as Entry;
      this.lines -= entry.type === 'text' ? entry.lines : FACT_LINES;
      this.last = entry.first - 1;
    }
    if (keep === entries.length) return entries;
    this.later.value = true;
    this.cleaners.clear();
    this.facts.clear();
    for (const entry of entries.slice(0, keep)) {
      const key = entry.type === 'fact' ? factKey(entry.event.peek()) : null;
      if (key && entry.type === 'fact') this.facts.set(key, entry);
    }
    return entries.slice(0, keep);
  }
}

// Facts without a turn of their own belong to the one they come in.
function grouped(entries: readonly Entry[]): Group[] {
  const groups: { turn: number; entries: Entry[] }[] = [];
  let open: { turn: number; entries: Entry[] } | undefined;
  const ahead = entries.find((entry) => turnOf(entry) > 0);
  const begins = ahead?.type === 'fact' && ahead.event.peek().kind === 'turn';
  let turn = ahead ? turnOf(ahead) - (begins && ahead !== entries[0] ? 1 : 0) : 0;
  for (const entry of entries) {
    // The end of a turn may be told after the next one began: turns only rise.
    turn = Math.max(turn, turnOf(entry));
    if (open?.turn !== turn) groups.push((open = { turn, entries: [] }));
    open.entries.push(entry);
  }
  return groups;
}

function turnOf(entry: Entry): number {
  if (entry.type === 'text') return entry.turn;
  const { kind, body } = entry.event.peek();
  return kind === 'state' || kind === 'message' ? 0 : number(body['turn']);
}

const sameGroup = (a: Group, b: Group): boolean =>
  a.turn === b.turn && a.entries.length === b.entries.length && a.entries[0] === b.entries[0] && a.entries.at(-1) === b.entries.at(-1);

// Events with the same key are news of one thing and share an entry.
function factKey({ kind, body }: Event): string | null {
  if (kind === 'tool') return `tool ${number(body['turn'])} ${text(body['id'])}`;
  if (kind === 'permission') return `permission ${text(body['id'])}`;
  if (kind === 'finish') return `finish ${text(body['step'])}`;
  return null;
}

const isLast = ({ kind, body }: Event): boolean => kind === 'finish' && body['status'] !== 'started';
