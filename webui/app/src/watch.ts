// Everything about the one agent that is looked at: its log, turns, changes, open questions
// and the progress of long steps. Made when its page opens, fed from the shared stream.
import { batch, signal } from '@preact/signals';
import { api, ApiError } from './api';
import { Log, LOG_KINDS } from './log';
import { number, text, type Agent, type Body, type Diff, type Event, type Task, type Turn } from './types';

const PAGE = 300;

export interface Progress {
  what: string;
  done: number;
  total: number;
  text: string;
}

export type Sentences = Pick<Turn, 'progress' | 'thought' | 'action' | 'future'>;

const sentences = (body: Body): Sentences => ({
  progress: text(body['progress']),
  thought: text(body['thought']),
  action: text(body['action']),
  future: text(body['future']),
});

const openingOf = (first: Event | undefined): Sentences | null =>
  first && !number(first.body['turn']) && first.body['accepted'] !== false ? sentences(first.body) : null;

export class Watch {
  readonly agent = signal<Agent | null>(null);
  readonly task = signal<Task | null>(null);
  readonly turns = signal<readonly Turn[]>([]);
  // The manager's decision before the first turn.
  readonly opening = signal<Sentences | null>(null);
  readonly diff = signal<Diff | null>(null);
  readonly questions = signal<readonly Event[]>([]);
  readonly progress = signal<Progress | null>(null);
  readonly failed = signal<ApiError | null>(null);
  readonly loading = signal(true);
  readonly loadingEarlier = signal(false);
  readonly log = new Log();

  private held: Event[] | null = [];
  private newest = 0;
  private loads = 0;
  private closed = false;

  constructor(readonly id: number) {
    void this.load();
  }

  close(): void {
    this.closed = true;
  }

  async load(): Promise<void> {
    const mine = ++this.loads;
    this.held = [];
    try {
      const [agent, turns, diff, log, questions, progress, opening] = await Promise.all([
        api.agent(this.id),
        api.turns(this.id),
        api.diff(this.id),
        api.events(this.id, LOG_KINDS, PAGE),
        api.events(this.id, ['permission'], 100),
        api.events(this.id, ['progress'], 1),
        api.opening(this.id),
      ]);
      if (mine !== this.loads || this.closed) return;
      batch(() => {
        this.agent.value = agent;
        this.task.value = agent.task ?? null;
        this.turns.value = [...turns.turns].sort((a, b) => a.turn - b.turn);
        this.opening.value = openingOf(opening.events[0]);
        this.diff.value = diff;
        const events = sorted(log.events);
        this.newest = events.at(-1)?.id ?? 0;
        this.log.clear();
        this.log.append(events);
        this.log.earlier.value = log.more;
        this.questions.value = [];
        for (const event of sorted(questions.events)) this.question(event);
        for (const event of progress.events) this.step(event.body);
        this.failed.value = null;
        this.loading.value = false;
        const late = this.held ?? [];
        this.held = null;
        this.events(late);
      });
    } catch (error) {
      if (mine !== this.loads || this.closed) return;
      this.loading.value = false;
      this.failed.value = error instanceof ApiError ? error : new ApiError(String(error), 0, 'internal', '');
    }
  }

  async loadEarlier(): Promise<void> {
    if (this.loadingEarlier.value) return;
    this.loadingEarlier.value = true;
    try {
      this.log.reading = true;
      const { events, more } = await api.events(this.id, LOG_KINDS, PAGE, this.log.first);
      batch(() => {
        this.log.prepend(sorted(events));
        this.log.earlier.value = more;
      });
    } finally {
      this.loadingEarlier.value = false;
    }
  }

  // News of this agent, in order.
  events(events: readonly Event[]): void {
    const mine = events.filter((event) => event.stream === 'agent' && event.subject === this.id);
    if (!mine.length) return;
    if (this.held) {
      this.held.push(...mine);
      return;
    }
    batch(() => {
      const log: Event[] = [];
      for (const event of mine) {
        if (event.id <= this.newest) continue;
        this.apply(event);
        if ((LOG_KINDS as readonly string[]).includes(event.kind)) log.push(event);
      }
      if (log.length) {
        this.newest = log.at(-1)?.id ?? this.newest;
        this.log.append(log);
      }
    });
  }

  private apply({ id, kind, subject, stream, body }: Event): void {
    if (kind === 'turn') this.turn(id, body);
    else if (kind === 'decision' && body['accepted'] !== false) {
      if (number(body['turn'])) this.change(number(body['turn']), sentences(body));
      else this.opening.value = sentences(body);
    } else if (kind === 'usage') this.usage(id, body);
    else if (kind === 'diff') this.diff.value = body as unknown as Diff;
    else if (kind === 'permission') this.question({ id, kind, subject, stream, body });
    else if (kind === 'progress') this.step(body);
    else if (kind === 'state') this.progress.value = null;
    else if (kind === 'deleted') this.failed.value = new ApiError(`Agent ${this.id} was deleted.`, 404, 'not_found', '');
  }

  private step(body: Body): void {
    const progress = { what: text(body['what']), done: number(body['done']), total: number(body['total']), text: text(body['text']) };
    this.progress.value = progress.total > 0 && progress.done >= progress.total ? null : progress;
  }

  private question(event: Event): void {
    const key = text(event.body['id']);
    const others = this.questions.value.filter((known) => text(known.body['id']) !== key);
    this.questions.value = event.body['status'] === 'asked' ? [...others, event] : others;
  }

  private turn(id: number, body: Body): void {
    const turn = number(body['turn']);
    const known = this.turns.value.find((row) => row.turn === turn);
    if (known && id <= (known.last_event ?? 0)) return;
    if (body['phase'] === 'ended') {
      this.change(turn, { stop_reason: text(body['stop_reason']), ended_at: number(body['at']) });
      return;
    }
    const begun: Turn = {
      turn,
      source: text(body['source']),
      prompt: text(body['prompt']),
      progress: '',
      thought: '',
      action: '',
      future: '',
      stop_reason: null,
      started_at: number(body['at']),
      ended_at: null,
      tokens_in: 0,
      tokens_out: 0,
      dollars: null,
    };
    this.turns.value = [...this.turns.value.filter((known) => known.turn !== turn), begun];
  }

  private change(turn: number, fields: Partial<Turn>): void {
    this.turns.value = this.turns.value.map((known) => (known.turn === turn ? { ...known, ...fields } : known));
  }

  private usage(id: number, body: Body): void {
    const turn = this.turns.value.find((known) => known.turn === number(body['turn']));
    if (!turn || id <= (turn.last_event ?? 0)) return;
    const price = body['dollars'];
    this.change(turn.turn, {
      tokens_in: turn.tokens_in + number(body['tokens_in']),
      tokens_out: turn.tokens_out + number(body['tokens_out']),
      dollars: typeof price === 'number' ? (turn.dollars ?? 0) + price : turn.dollars,
    });
  }
}

const sorted = (events: readonly Event[]): Event[] => [...events].sort((a, b) => a.id - b.id);
