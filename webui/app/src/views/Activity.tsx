// Everything that happened, the newest first; what comes is put on top.
import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, type ApiError } from '../api';
import { plainLine } from '../clean';
import { now } from '../clock';
import { age, count, dateTime, dollars, pullRequestName, reasonOf, sentence } from '../format';
import { ExternalLink } from '../parts/ExternalLink';
import { StateIcon, STATE_WORDS } from '../parts/State';
import { Link, navigate, query } from '../router';
import { agentRow } from '../store';
import { isState, list, number, text, type Event } from '../types';
import { watched, type Watching } from '../watched';

// What can be asked for, as people call it.
const KINDS = [
  ['', 'Everything'],
  ['state,archive,created,deleted,workspace', 'States'],
  ['decision', 'Decisions'],
  ['turn', 'Turns'],
  ['message', 'Messages'],
  ['permission', 'Permissions'],
  ['commit,diff,pull_request,finish,winner,judgement', 'Commits and pull requests'],
  ['test', 'Tests'],
  ['usage', 'Costs'],
  ['trouble,worker', 'Troubles and processes'],
  ['config', 'Settings'],
] as const;

// Too fine to read as news: parts of turns that come by the thousand.
const QUIET = new Set(['output', 'progress', 'tool']);
const PAGE = 100;
const SHOWN_MAX = 2000;

const when = (event: Event): number => event.at ?? number(event.body['at']);

interface Told {
  mark: string;
  text: string;
  bad?: boolean;
  good?: boolean;
  url?: string;
}

function tell({ kind, body }: Event): Told {
  const line = (name: string): string => plainLine(text(body[name]));
  switch (kind) {
    case 'state':
      return {
        mark: isState(body['state']) ? STATE_WORDS[body['state']] : line('state'),
        text: reasonOf({ reason: text(body['reason']) }),
        bad: body['state'] === 'failed',
      };
    case 'created':
      return { mark: 'Created', text: plainLine(text((body['task'] as { title?: unknown } | undefined)?.title ?? (body['agent'] as { branch?: unknown } | undefined)?.branch)) };
    case 'deleted':
      return { mark: 'Deleted', text: '' };
    case 'archive':
      return { mark: body['archived'] === true ? 'Archived' : 'Unarchived', text: '' };
    case 'workspace':
      return { mark: `Workspace ${line('state')}`, text: body['state'] === 'reclaimed' && line('saved') ? `saved at ${line('saved')}` : '' };
    case 'turn':
      return body['phase'] === 'started'
        ? { mark: `Turn ${number(body['turn'])} began`, text: line('prompt').slice(0, 240) }
        : { mark: `Turn ${number(body['turn'])} ended`, text: line('stop_reason') === 'end_turn' ? '' : `${line('stop_reason')} ${line('reason')}` };
    case 'decision':
      return body['accepted'] === false
        ? { mark: 'Answer refused', text: line('reason'), bad: true }
        : { mark: 'Decided', text: [line('progress'), line('action')].filter(Boolean).join(' → ').slice(0, 320) };
    case 'message':
      return { mark: body['direction'] === 'out' ? 'Said' : line('from') === 'person' ? 'You said' : `${line('from')} said`, text: line('text').slice(0, 320) };
    case 'permission':
      return {
        mark: { asked: 'Asks', answered: 'Answered', expired: 'Question expired' }[text(body['status'])] ?? 'Permission',
        text: [line('title'), line('option') && `${line('option')} (${line('by')})`].filter(Boolean).join(': '),
      };
    case 'commit':
      return { mark: `Commit ${text(body['hash']).slice(0, 7)}`, text: line('message'), good: true };
    case 'diff':
      return { mark: 'Changed', text: `${list(body['files']).length} files, +${number(body['added'])} −${number(body['removed'])}` };
    case 'test':
      return { mark: body['passed'] === true ? 'Tests passed' : 'Tests failed', text: line('command'), good: body['passed'] === true, bad: body['passed'] !== true };
    case 'finish':
      return { mark: `Finishing: ${line('step').replace('_', ' ')}`, text: [line('status'), line('reason')].filter(Boolean).join(': '), bad: body['status'] === 'failed' };
    case 'pull_request':
      return { mark: pullRequestName(text(body['url'])), text: line('title'), good: true, url: text(body['url']) };
    case 'usage':
      return {
        mark: typeof body['dollars'] === 'number' ? dollars(body['dollars']) : 'Tokens',
        text: `${line('role')} · ${line('model')} · ${count(number(body['tokens_in']))} in, ${count(number(body['tokens_out']))} out`,
      };
    case 'trouble':
      return { mark: sentence(line('what')) || 'Trouble', text: [line('reason'), line('hint')].filter(Boolean).join(' – '), bad: true };
    case 'worker':
      return { mark: `Worker ${line('phase')}`, text: [`pid ${number(body['pid'])}`, line('signal'), line('reason')].filter(Boolean).join(', ') };
    case 'config':
      return { mark: 'Settings changed', text: (Array.isArray(body['changed']) ? body['changed'] : []).map((name) => plainLine(String(name))).join(', ') };
    case 'winner':
      return { mark: 'Picked', text: `agent ${number(body['agent'])}`, good: true };
    case 'judgement':
      return { mark: 'Judged', text: line('reasons').slice(0, 320) };
    default:
      return { mark: kind, text: line('text') || line('reason') };
  }
}

function Whose({ event }: { event: Event }) {
  if (event.stream === 'task') return <Link to={`/tasks/${event.subject}`}>Task {event.subject}</Link>;
  if (event.stream !== 'agent') return <span class="none">system</span>;
  const title = plainLine(agentRow(event.subject)?.value.title ?? '');
  return (
    <Link to={`/agents/${event.subject}`} title={title}>
      #{event.subject} {title}
    </Link>
  );
}

function Line({ event }: { event: Event }) {
  const told = tell(event);
  const at = when(event);
  const state = event.kind === 'state' && isState(event.body['state']) ? event.body['state'] : null;
  return (
    <li class={`event ${told.bad ? 'event-bad' : told.good ? 'event-good' : ''}`} data-event={event.id}>
      <time dateTime={new Date(at).toISOString()} title={dateTime(at)}>
        {age(now.value - at)}
      </time>
      <span class="event-whose">
        <Whose event={event} />
      </span>
      <span class="event-mark">
        {state && <StateIcon state={state} />}
        {told.mark}
      </span>
      <span class="event-text">{told.url ? <ExternalLink url={told.url}>{told.text || told.url}</ExternalLink> : told.text}</span>
    </li>
  );
}

// The list as it is loaded, and what comes live.
class Feed implements Watching {
  readonly shown = signal<readonly Event[]>([]);
  readonly more = signal(false);
  readonly loading = signal(true);
  readonly error = signal('');
  private held: Event[] | null = [];
  private loads = 0;

  constructor(
    private readonly kinds: string,
    private readonly agent: string,
  ) {}

  private wants(event: Event): boolean {
    if (QUIET.has(event.kind)) return false;
    if (this.agent && !(event.stream === 'agent' && String(event.subject) === this.agent)) return false;
    return !this.kinds || this.kinds.split(',').includes(event.kind);
  }

  private ask(before?: number): Promise<{ events: Event[]; more: boolean }> {
    return api.activity({
      limit: PAGE,
      ...(before ? { before } : {}),
      ...(this.kinds ? { kinds: this.kinds } : {}),
      ...(this.agent ? { agent: this.agent } : {}),
    });
  }

  async load(): Promise<void> {
    const mine = ++this.loads;
    this.held = [];
    try {
      const { events, more } = await this.ask();
      if (mine !== this.loads) return;
      this.shown.value = events.filter((event) => this.wants(event)).sort((a, b) => b.id - a.id);
      this.more.value = more;
      this.error.value = '';
      const late = this.held ?? [];
      this.held = null;
      this.events(late);
    } catch (error) {
      if (mine !== this.loads) return;
      this.held = null;
      this.error.value = (error as ApiError).message;
    }
    this.loading.value = false;
  }

  async earlier(): Promise<void> {
    const last = this.shown.value.at(-1);
    this.loading.value = true;
    try {
      const { events, more } = await this.ask(last?.id);
      this.shown.value = [...this.shown.value, ...events.filter((event) => this.wants(event)).sort((a, b) => b.id - a.id)];
      this.more.value = more;
      this.error.value = '';
    } catch (error) {
      this.error.value = (error as ApiError).message;
    }
    this.loading.value = false;
  }

  events(events: readonly Event[]): void {
    if (this.held) {
      this.held.push(...events);
      return;
    }
    const newest = this.shown.value[0]?.id ?? 0;
    const fresh = events.filter((event) => event.id > newest && this.wants(event)).reverse();
    if (!fresh.length) return;
    const all = [...fresh, ...this.shown.value];
    if (all.length > SHOWN_MAX) this.more.value = true;
    this.shown.value = all.slice(0, SHOWN_MAX);
  }
}

export function ActivityView() {
  const kinds = KINDS.find(([name]) => name === query.value.get('kinds'))?.[0] ?? '';
  const agent = /^[1-9]\d{0,14}$/.test(query.value.get('agent') ?? '') ? (query.value.get('agent') ?? '') : '';
  const [typed, setTyped] = useState(agent);
  const [words, setWords] = useState('');
  const feed = useMemo(() => new Feed(kinds, agent), [kinds, agent]);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    watched.value = feed;
    void feed.load();
    return () => {
      if (watched.peek() === feed) watched.value = null;
    };
  }, [feed]);
  const go = (change: { kinds?: string; agent?: string }): void => {
    const next = new URLSearchParams(Object.entries({ kinds, agent, ...change }).filter(([, value]) => value));
    navigate(`/activity${next.size ? `?${next}` : ''}`, true);
  };
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = wanted.length
    ? feed.shown.value.filter((event) => {
        const told = tell(event);
        const hay = `${told.mark} ${told.text} ${agentRow(event.subject)?.peek().title ?? ''}`.toLowerCase();
        return wanted.every((word) => hay.includes(word));
      })
    : feed.shown.value;
  let day = '';
  return (
    <div class="activity">
      <div class="view-head">
        <h1 tabIndex={-1}>Activity</h1>
        <div class="tools" role="search" aria-label="Activity">
          <input
            ref={input}
            type="text"
            class="activity-words"
            aria-label="Words"
            placeholder="Words in what is shown"
            value={words}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
          <input
            type="text"
            class="activity-agent"
            inputMode="numeric"
            aria-label="Agent's number"
            placeholder="Agent #"
            value={typed}
            onInput={(event) => {
              const value = event.currentTarget.value.replace(/\D/g, '');
              setTyped(value);
              go({ agent: value });
            }}
          />
          <select class="sort" aria-label="Kind" value={kinds} onChange={(event) => go({ kinds: event.currentTarget.value })}>
            {KINDS.map(([name, label]) => (
              <option key={label} value={name}>
                {label}
              </option>
            ))}
          </select>
        </div>
      </div>
      {feed.error.value && (
        <div class="notice notice-bad" role="alert">
          {feed.error.value}{' '}
          <button type="button" class="button" onClick={() => void feed.load()}>
            Try again
          </button>
        </div>
      )}
      {shown.length > 0 && (
        <ol class="events panel">
          {shown.map((event) => {
            const date = new Date(when(event)).toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' });
            const head = date !== day;
            day = date;
            return head ? (
              [
                <li key={`day ${date}`} class="event-day">
                  {date}
                </li>,
                <Line key={event.id} event={event} />,
              ]
            ) : (
              <Line key={event.id} event={event} />
            );
          })}
        </ol>
      )}
      {!feed.loading.value && !feed.error.value && !shown.length && (
        <section class="empty panel">
          <h2>{feed.shown.value.length || kinds || agent ? 'Nothing matches' : 'Nothing has happened yet'}</h2>
          <p>States, turns, decisions, messages, commits, tests and costs of all agents appear here as they happen.</p>
        </section>
      )}
      {feed.loading.value && !feed.shown.value.length && <div class="boot" role="status" aria-label="Loading" />}
      {feed.more.value && (
        <p class="activity-more">
          <button type="button" class="button" disabled={feed.loading.value} onClick={() => void feed.earlier()}>
            {feed.loading.value ? 'Loading…' : 'Load earlier'}
          </button>
        </p>
      )}
    </div>
  );
}
