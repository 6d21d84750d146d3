// The story of an agent, turn by turn: what was asked, thought and said, edits, commands,
// tests, commits, cost. Turns fold; only a window of it is in the page. It follows its end
// until a person scrolls up, and again when they come back.
import { signal, useSignal, useSignalEffect, type Signal } from '@preact/signals';
import { Component } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { now } from '../clock';
import { plain, plainLine } from '../clean';
import { clock, count, dateTime, dollars, exactDollars, plural, shortDuration } from '../format';
import { useKeys } from '../keys';
import type { Entry, FactEntry, Group, TextEntry } from '../log';
import type { Hit, Turn } from '../types';
import type { Sentences, Watch } from '../watch';
import { Fact } from './Fact';
import { Find, mark } from './Find';

// Closer to the end than this counts as being there.
const NEAR_END_PX = 48;

const CHANNELS: Record<string, string> = { thought: 'thought', tool: 'output', log: 'notice', stderr: 'stderr' };
const SOURCES: Record<string, string> = { task: 'task', manager: 'manager', person: 'you', test: 'tests' };
export const STOPS: Record<string, string> = {
  end_turn: 'ended',
  cancelled: 'cancelled',
  max_tokens: 'out of tokens',
  max_turn_requests: 'too many requests',
  refusal: 'refused',
  error: 'error',
};

function TextRow({ entry }: { entry: TextEntry }) {
  const label = CHANNELS[entry.channel];
  return (
    <div class={`said said-${label ? entry.channel : 'agent'}`} data-first={entry.first}>
      {label && <span class="said-label">{label}</span>}
      {/* The signal is the text node: a new piece touches nothing else. */}
      <pre>{entry.text}</pre>
    </div>
  );
}

function FactRow({ entry }: { entry: FactEntry }) {
  return (
    <div data-first={entry.first}>
      <Fact event={entry.event.value} />
    </div>
  );
}

// An entry never changes its identity, only its own signals: it is drawn once.
class Row extends Component<{ entry: Entry }> {
  override shouldComponentUpdate(next: { entry: Entry }): boolean {
    return next.entry !== this.props.entry;
  }

  render({ entry }: { entry: Entry }) {
    return entry.type === 'text' ? <TextRow entry={entry} /> : <FactRow entry={entry} />;
  }
}

// The head of a turn tells its beginning.
const inBody = (entry: Entry): boolean =>
  entry.type === 'text' || entry.event.peek().kind !== 'turn' || entry.event.peek().body['phase'] !== 'started';

class Entries extends Component<{ entries: readonly Entry[] }> {
  override shouldComponentUpdate(next: { entries: readonly Entry[] }): boolean {
    return next.entries !== this.props.entries;
  }

  render({ entries }: { entries: readonly Entry[] }) {
    return (
      <>
        {entries.filter(inBody).map((entry) => (
          <Row key={entry.key} entry={entry} />
        ))}
      </>
    );
  }
}

function TurnFigures({ turn }: { turn: Turn }) {
  const stop = turn.stop_reason;
  const tokens = turn.tokens_in + turn.tokens_out;
  return (
    <span class="turn-figures">
      {stop !== 'end_turn' && (
        <span class={stop ? 'turn-stop turn-stop-bad' : 'turn-stop turn-stop-now'}>{stop ? (STOPS[stop] ?? plainLine(stop)) : 'under way'}</span>
      )}
      {tokens > 0 && <span title={`${turn.tokens_in} tokens in, ${turn.tokens_out} out`}>{count(tokens)} tok</span>}
      {tokens > 0 && (
        <span title={turn.dollars === null ? 'the price of its model is not known' : exactDollars(turn.dollars)}>
          {turn.dollars === null ? '$ –' : dollars(turn.dollars)}
        </span>
      )}
      <span class="turn-took" title="how long it took">
        {stop || turn.ended_at ? shortDuration((turn.ended_at ?? turn.started_at) - turn.started_at) : <Running from={turn.started_at} />}
      </span>
      <time title={dateTime(turn.started_at)}>{clock(turn.started_at)}</time>
    </span>
  );
}

function Running({ from }: { from: number }) {
  return <>{shortDuration(Math.max(0, now.value - from))}</>;
}

const firstLine = (text: string): string => plainLine(text.split('\n').find((line) => line.trim()) ?? '').slice(0, 300);

interface SectionProps {
  number: number;
  turn: Turn | undefined;
  opening: Sentences | null;
  group: Group | undefined;
  open: boolean;
  // What is missing at its ends, where it is at an end of the window.
  before: boolean;
  after: boolean;
  watch: Watch;
  onEarlier: () => void;
}

function Section({ number, turn, opening, group, open, before, after, watch, onEarlier }: SectionProps) {
  const fold = (): void => {
    if (open) watch.fold(number);
    else void watch.jumpToTurn(number);
  };
  const said = turn ? turn.progress || turn.thought : (opening?.progress ?? '');
  const prompt = turn ? firstLine(turn.prompt) : '';
  const whole = turn ? plain(turn.prompt) : '';
  const busy = watch.loadingMore.value;
  return (
    <section class={open ? 'turn turn-open' : 'turn'} data-turn={number} aria-label={number ? `Turn ${number}` : 'Before the first turn'}>
      <div class="turn-head">
        <h2>
          <button type="button" class="turn-fold" aria-expanded={open} onClick={fold}>
            <span class="turn-caret" aria-hidden="true" />
            <span class="turn-name">{number ? `Turn ${number}` : 'Start'}</span>
            {turn && (
              <span class={`turn-source turn-source-${turn.source}`}>
                <span class="hidden">from </span>
                {SOURCES[turn.source] ?? plainLine(turn.source)}
              </span>
            )}
            <span class="turn-what">{number ? prompt || '…' : 'The workspace is made, the manager plans'}</span>
          </button>
        </h2>
        {turn && <TurnFigures turn={turn} />}
        {!open && said && <p class="turn-verdict">{plainLine(said)}</p>}
      </div>
      {open && (
        <div class="turn-body">
          {turn && whole.trim() !== prompt && (
            <div class="fact fact-prompt-row">
              <span class="fact-label">prompt</span>
              <pre class="fact-main fact-prompt">{whole}</pre>
            </div>
          )}
          {before && (
            <button type="button" class="button log-earlier" disabled={busy} onClick={onEarlier}>
              {busy ? 'Loading…' : 'Load earlier'}
            </button>
          )}
          {group ? <Entries entries={group.entries} /> : <p class="quiet">Loading…</p>}
          {after && (
            <button type="button" class="button log-earlier" disabled={busy} onClick={() => void watch.loadLater()}>
              {busy ? 'Loading…' : 'Load more'}
            </button>
          )}
        </div>
      )}
    </section>
  );
}

// The turns that there are, each with what of it is in the window.
function sectionsOf(watch: Watch) {
  const groups = watch.log.groups.value;
  const turns = watch.turns.value;
  const inWindow = new Map(groups.map((group) => [group.turn, group]));
  const byNumber = new Map(turns.map((turn) => [turn.turn, turn]));
  const numbers = new Set([...byNumber.keys(), ...inWindow.keys()]);
  if (!watch.olderTurns.value && (watch.opening.value || inWindow.has(0))) numbers.add(0);
  return [...numbers].sort((a, b) => a - b).map((number) => ({ number, turn: byNumber.get(number), group: inWindow.get(number) }));
}

// Which hit of a search is shown; kept while the tab changes.
const found: Signal<{ agent: number; hit: Hit; query: string } | null> = signal(null);

export function Story({ watch }: { watch: Watch }) {
  const box = useRef<HTMLDivElement>(null);
  const following = useSignal(true);
  const { log } = watch;

  // Where following put the box. Text that comes meanwhile moves the end, not the box:
  // only a box above this place was moved by a person.
  const put = useRef(0);
  const toEnd = (): void => {
    const { current } = box;
    if (!current || !following.peek()) return;
    current.scrollTop = current.scrollHeight;
    put.current = current.scrollTop;
  };
  // Grown text, new or dropped entries, another size of the window.
  useSignalEffect(() => {
    void log.version.value;
    toEnd();
  });
  useLayoutEffect(toEnd);
  useEffect(() => {
    const sizes = new ResizeObserver(toEnd);
    if (box.current) sizes.observe(box.current);
    return () => sizes.disconnect();
  }, []);

  const stay = (): void => {
    following.value = false;
    log.reading = true;
  };
  const scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = box.current as HTMLDivElement;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (near && !log.later.peek()) {
      if (following.value) return;
      following.value = true;
      log.settle();
    } else if (following.value && scrollTop < put.current - 1) {
      stay();
    }
  };
  const earlier = async (): Promise<void> => {
    const { current } = box;
    if (!current) return;
    const fromEnd = current.scrollHeight - current.scrollTop;
    stay();
    await watch.loadEarlier();
    requestAnimationFrame(() => {
      if (!log.later.peek()) current.scrollTop = current.scrollHeight - fromEnd;
    });
  };
  const follow = async (): Promise<void> => {
    await watch.toPresent();
    following.value = true;
    log.settle();
  };

  // j and k walk over the turns' heads.
  const step = (by: number): boolean => {
    const heads = [...(box.current?.querySelectorAll<HTMLElement>('.turn-fold') ?? [])];
    const at = heads.indexOf(document.activeElement as HTMLElement);
    const next = heads[at < 0 ? (by > 0 ? 0 : heads.length - 1) : at + by];
    if (!next) return heads.length > 0;
    stay();
    next.focus({ preventScroll: true });
    next.closest('.turn')?.scrollIntoView({ block: 'nearest' });
    return true;
  };
  const keys = useMemo(
    () => [
      { keys: 'j', label: 'Next turn', group: 'Story', run: () => step(1) },
      { keys: 'k', label: 'Turn before', group: 'Story', run: () => step(-1) },
      { keys: 'shift+g', label: 'To the end, and follow it', group: 'Story', run: () => void follow() },
    ],
    [watch],
  );
  useKeys(keys);

  // A hit of the search: its turn opens around it.
  const show = async (hit: Hit, query: string): Promise<void> => {
    stay();
    found.value = { agent: watch.id, hit, query };
    const first = log.first ?? Infinity;
    if (hit.id < first || hit.id > log.last) await watch.jump(hit.id);
    const group = log.groups.value.find(({ entries }, index, all) => {
      const next = all[index + 1]?.entries[0];
      return (entries[0]?.first ?? 0) <= hit.id && (!next || next.first > hit.id);
    });
    if (group) watch.unfold(group.turn);
    requestAnimationFrame(() => box.current && mark(box.current, hit, query));
  };
  useEffect(() => () => void (found.value = null), []);

  const sections = sectionsOf(watch);
  const windowed = sections.filter(({ group }) => group);
  const first = windowed[0]?.number;
  const last = windowed.at(-1)?.number;
  const unfolded = watch.unfolded.value;
  const isOpen = (number: number, group: Group | undefined): boolean => unfolded.has(number) && group !== undefined;
  const openCount = sections.filter(({ number, group }) => isOpen(number, group)).length;
  return (
    <div class="story panel">
      <Find watch={watch} onShow={show} onClose={() => box.current && mark(box.current, null, '')}>
        <span class="story-sum">{plural(watch.turns.value.at(-1)?.turn ?? 0, 'turn')}</span>
        <button
          type="button"
          class="button button-quiet button-small"
          onClick={() => {
            if (openCount > 1) watch.unfolded.value = new Set();
            else {
              stay();
              watch.unfolded.value = new Set(windowed.map(({ number }) => number));
            }
          }}
        >
          {openCount > 1 ? 'Fold all' : 'Unfold all'}
        </button>
      </Find>
      <div
        ref={box}
        class={following.value ? 'log-box log-box-following' : 'log-box'}
        tabIndex={0}
        role="log"
        aria-label="Story"
        aria-live="off"
        onScroll={scrolled}
      >
        {watch.olderTurns.value && (
          <button type="button" class="button log-earlier" onClick={() => void watch.loadOlderTurns()}>
            Older turns
          </button>
        )}
        {sections.length === 0 && <p class="quiet">Nothing has happened yet. What the agent does is told here as it happens.</p>}
        {sections.map(({ number, turn, group }) => (
          <Section
            key={number}
            number={number}
            turn={turn}
            opening={number === 0 ? watch.opening.value : null}
            group={group}
            open={isOpen(number, group)}
            before={number === first && log.earlier.value}
            after={number === last && log.later.value}
            watch={watch}
            onEarlier={() => void earlier()}
          />
        ))}
      </div>
      {!following.value && (
        <button type="button" class="button log-follow" onClick={() => void follow()}>
          ↓ Follow
        </button>
      )}
    </div>
  );
}
