// Everything about the one agent that is looked at: its story (a window of what it did),
// turns, changes, open questions and the progress of long steps. Made when its page opens,
// fed from the shared stream; only the newest part is loaded, the rest when it is wanted.
import { batch, signal } from '@preact/signals';
import { api, ApiError } from './api';
import { Log, LOG_KINDS } from './log';
import { workspaceOf } from './store';
import { isState, number, text, type Agent, type Body, type Diff, type Event, type Limits, type Task, type Turn } from './types';

// What a page of the story may weigh: the first paint of a long one is quick.
const FIRST = { limit: 300, bytes: 120_000 };
const PAGE = { limit: 400, bytes: 240_000 };
const AROUND = { limit: 150, bytes: 60_000 };
const TURNS = 60;

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
  // Ascending; those before the first one are loaded on request.
  readonly turns = signal<readonly Turn[]>([]);
  readonly olderTurns = signal(false);
  // The turns whose entries are shown; the others are one line.
  readonly unfolded = signal<ReadonlySet<number>>(new Set());
  // The manager's decision before the first turn.
  readonly opening = signal<Sentences | null>(null);
  // Undefined until somebody wants it.
  readonly diff = signal<Diff | null | undefined>(undefined);
  readonly questions = signal<readonly Event[]>([]);
  readonly progress = signal<Progress | null>(null);
  readonly failed = signal<ApiError | null>(null);
  readonly loading = signal(true);
  readonly loadingMore = signal(false);
  // Rises when what is shown was loaded afresh: what came between is not told as news.
  readonly loaded = signal(0);
  // What a task leaves open is as configured.
  readonly defaults = signal<Limits>({});
  readonly log = new Log();
  // Comments on lines that were sent as instructions, newest last.
  readonly comments = signal<readonly { place: string; text: string }[]>([]);

  private held: Event[] | null = [];
  private heldLog: Event[] | null = null;
  private newest = 0;
  private loads = 0;
  private closed = false;
  private starts = new Map<number, number>();
  private startsBefore: number | undefined;
  private readonly hearers = new Set<(event: Event) => void>();

  constructor(readonly id: number) {
    void this.load();
    void this.loadDefaults();
  }

  close(): void {
    this.closed = true;
    this.hearers.clear();
  }

  // Every event of this agent as it comes; returns how to stop it.
  hear(hearer: (event: Event) => void): () => void {
    this.hearers.add(hearer);
    return () => this.hearers.delete(hearer);
  }

  async load(): Promise<void> {
    const mine = ++this.loads;
    this.held = [];
    try {
      const [agent, turns, log, questions, progress, opening] = await Promise.all([
        api.agent(this.id),
        api.turns(this.id, TURNS),
        api.events(this.id, LOG_KINDS, FIRST),
        api.events(this.id, ['permission'], { limit: 100, bytes: 64_000 }),
        api.events(this.id, ['progress'], { limit: 1 }),
        api.opening(this.id),
      ]);
      if (mine !== this.loads || this.closed) return;
      batch(() => {
        this.agent.value = agent;
        this.task.value = agent.task ?? null;
        this.turns.value = [...turns.turns].sort((a, b) => a.turn - b.turn);
        this.olderTurns.value = turns.turns.length >= TURNS;
        this.opening.value = openingOf(opening.events[0]);
        this.show(sorted(log.events), log.more);
        this.newest = this.log.last;
        this.questions.value = [];
        for (const event of sorted(questions.events)) this.question(event);
        for (const event of progress.events) this.step(event.body);
        this.failed.value = null;
        this.loading.value = false;
        const late = this.held ?? [];
        this.held = null;
        this.loaded.value++;
        this.events(late);
        this.unfold(this.turns.value.at(-1)?.turn ?? 0);
      });
      if (this.diff.peek() !== undefined) void this.loadDiff();
    } catch (error) {
      if (mine !== this.loads || this.closed) return;
      this.loading.value = false;
      this.failed.value = error instanceof ApiError ? error : new ApiError(String(error), 0, 'internal', '');
    }
  }

  private async loadDefaults(): Promise<void> {
    try {
      const { general } = await api.config();
      this.defaults.value = {
        turns: number(general['limit_turns']),
        minutes: number(general['limit_minutes']),
        dollars: number(general['limit_dollars']),
      };
    } catch {
      // Then only the task's own limits are shown.
    }
  }

  async loadDiff(): Promise<void> {
    if (this.diff.peek() === undefined) this.diff.value = null;
    const diff = await api.diff(this.id).catch(() => null);
    if (diff && !this.closed) this.diff.value = diff;
  }

  async loadOlderTurns(): Promise<void> {
    const first = this.turns.value[0]?.turn;
    if (!first) return;
    const { turns } = await api.turns(this.id, TURNS, first);
    this.olderTurns.value = turns.length >= TURNS;
    this.turns.value = [...turns.sort((a, b) => a.turn - b.turn), ...this.turns.value];
  }

  // --- the window of the story ---

  private show(events: readonly Event[], earlier: boolean): void {
    this.log.clear();
    this.log.append(events);
    // More may have been dropped at its front than there was before.
    if (earlier) this.log.earlier.value = true;
  }

  private async busy(what: () => Promise<void>): Promise<void> {
    if (this.loadingMore.value) return;
    this.loadingMore.value = true;
    try {
      await what();
    } catch {
      // The part stays asked for: its button is still there.
    } finally {
      this.heldLog = null;
      this.loadingMore.value = false;
    }
  }

  loadEarlier(): Promise<void> {
    return this.busy(async () => {
      this.log.reading = true;
      const { events, more } = await api.events(this.id, LOG_KINDS, { ...PAGE, before: this.log.first });
      batch(() => {
        this.log.prepend(sorted(events));
        this.log.earlier.value = more;
      });
    });
  }

  loadLater(): Promise<void> {
    return this.busy(async () => {
      this.log.reading = true;
      this.heldLog = [];
      const { events, more } = await api.events(this.id, LOG_KINDS, { ...PAGE, after: this.log.last });
      batch(() => this.continued(events, more));
    });
  }

  // The window goes on: at the present, what came meanwhile is appended.
  private continued(events: readonly Event[], more: boolean): void {
    this.log.append(sorted(events));
    const late = (this.heldLog ?? []).filter((event) => event.id > this.log.last);
    this.heldLog = null;
    this.log.later.value = more;
    if (!more && late.length) this.log.append(late);
  }

  // Shows what is around an event (a line that was searched for).
  jump(id: number): Promise<void> {
    return this.busy(async () => {
      this.heldLog = [];
      const [before, after] = await Promise.all([
        api.events(this.id, LOG_KINDS, { ...AROUND, before: id + 1 }),
        api.events(this.id, LOG_KINDS, { ...AROUND, after: id }),
      ]);
      batch(() => {
        this.log.reading = true;
        this.show(sorted(before.events), before.more);
        this.continued(after.events, after.more);
      });
    });
  }

  async jumpToTurn(turn: number): Promise<void> {
    if (!this.log.groups.value.some((group) => group.turn === turn)) {
      const start = await this.startOf(turn).catch(() => undefined);
      if (start === undefined) return;
      await this.busy(async () => {
        this.heldLog = [];
        const { events, more } = await api.events(this.id, LOG_KINDS, { ...PAGE, after: start - 1 });
        batch(() => {
          this.log.reading = true;
          this.show([], start > 1);
          this.continued(events, more);
        });
      });
    }
    this.unfold(turn);
  }

  async toPresent(): Promise<void> {
    if (!this.log.later.value) return;
    await this.busy(async () => {
      this.heldLog = [];
      const { events, more } = await api.events(this.id, LOG_KINDS, FIRST);
      batch(() => {
        this.show([], more);
        this.continued(events, false);
        if (more) this.log.earlier.value = true;
      });
    });
    this.log.reading = false;
  }

  // The event that began a turn: looked up in pages, the newest first.
  private async startOf(turn: number): Promise<number | undefined> {
    if (turn === 0) return 1;
    while (!this.starts.has(turn)) {
      const page = await api.events(this.id, ['turn'], { limit: 200, bytes: 400_000, before: this.startsBefore });
      for (const { id, body } of page.events) {
        if (body['phase'] === 'started' && !this.starts.has(number(body['turn']))) this.starts.set(number(body['turn']), id);
      }
      this.startsBefore = sorted(page.events)[0]?.id;
      if (!page.more || this.startsBefore === undefined) break;
    }
    return this.starts.get(turn);
  }

  unfold(turn: number): void {
    if (!this.unfolded.value.has(turn)) this.unfolded.value = new Set([...this.unfolded.value, turn]);
  }

  fold(turn: number): void {
    const kept = new Set(this.unfolded.value);
    kept.delete(turn);
    this.unfolded.value = kept;
  }

  // --- news of this agent, in order ---

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
        for (const hearer of this.hearers) hearer(event);
      }
      if (!log.length) return;
      this.newest = log.at(-1)?.id ?? this.newest;
      // Where the window is not at the present, the story goes on in the store alone.
      if (this.heldLog) this.heldLog.push(...log);
      else if (!this.log.later.value) this.log.append(log);
    });
  }

  private apply({ id, kind, subject, stream, body }: Event): void {
    if (kind === 'turn') this.turn(id, body);
    else if (kind === 'decision' && body['accepted'] !== false) {
      if (number(body['turn'])) this.change(number(body['turn']), sentences(body));
      else this.opening.value = sentences(body);
    } else if (kind === 'usage') this.usage(id, body);
    else if (kind === 'diff') {
      if (this.diff.value !== undefined) this.diff.value = body as unknown as Diff;
    } else if (kind === 'permission') this.question({ id, kind, subject, stream, body });
    else if (kind === 'progress') this.step(body);
    else if (kind === 'state') {
      this.progress.value = null;
      const agent = this.agent.value;
      if (agent && isState(body['state'])) {
        this.agent.value = { ...agent, state: body['state'], reason: text(body['reason']), state_at: number(body['at']) };
      }
    } else if (kind === 'archive' && this.agent.value) this.agent.value = { ...this.agent.value, archived: body['archived'] === true };
    else if (kind === 'workspace' && this.agent.value) this.agent.value = { ...this.agent.value, ...workspaceOf(body) };
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
    this.starts.set(turn, id);
    this.turns.value = [...this.turns.value.filter((known) => known.turn !== turn), begun];
    this.unfold(turn);
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
