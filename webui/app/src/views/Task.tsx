// One task: its agents side by side, two of their changes compared, the Orchestrator
// model's advice, and the choice of the one that wins.
import { useSignal, type Signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { api, ApiError } from '../api';
import { now } from '../clock';
import { plain, plainLine } from '../clean';
import { hasEnded } from '../deeds';
import { changedOf, count, dateTime, dollars, duration, exactDollars, plural, pullRequestName, reasonOf, repositoryName } from '../format';
import { useKeys } from '../keys';
import { DiffFile } from '../parts/Diff';
import { ExternalLink } from '../parts/ExternalLink';
import { Changes, Tests } from '../parts/Figures';
import { StateBadge } from '../parts/State';
import { parsePatch, type PatchFile } from '../patch';
import { Link } from '../router';
import { agentRow } from '../store';
import { toast } from '../toast';
import type { Agent, Event, Judgement, TaskPage } from '../types';
import { watched } from '../watched';

const took = (agent: Agent, at: number): number => (agent.started_at ? (agent.ended_at ?? at) - agent.started_at : 0);

const BESTS = {
  cost: ['cheapest', (agent: Agent) => agent.dollars],
  time: ['fastest', (agent: Agent) => took(agent, Date.now())],
  size: ['smallest', (agent: Agent) => agent.added + agent.removed],
} as const;
type Best = keyof typeof BESTS;

// Of those that are done and changed something, the least in each figure; where the next
// is nearly the same it is told of nobody.
function bests(agents: readonly Agent[]): Record<Best, number | null> {
  const able = agents.filter((agent) => agent.state === 'done' && agent.added + agent.removed > 0 && agent.tests !== 'failed');
  const least = (of: (agent: Agent) => number, margin: number): number | null => {
    const [first, second] = [...able].sort((a, b) => of(a) - of(b));
    return first && second && of(first) * 1.1 < of(second) && of(second) - of(first) >= margin ? first.id : null;
  };
  return { cost: least(BESTS.cost[1], 0.005), time: least(BESTS.time[1], 1000), size: least(BESTS.size[1], 2) };
}

function Mark({ on, best }: { on: boolean; best: Best }) {
  return on ? <span class="best">{BESTS[best][0]}</span> : null;
}

interface CardProps {
  agent: Agent;
  best: Record<Best, number | null>;
  winner: number | null;
  judgement: Judgement | null;
  busy: boolean;
  onPick: (agent: Agent) => void;
  onUnpick: () => void;
}

function Card({ agent, best, winner, judgement, busy, onPick, onUnpick }: CardProps) {
  const won = winner === agent.id;
  const score = judgement?.scores.find((one) => one.agent === agent.id);
  const why = winner !== null ? 'another one is picked, take that back first' : agent.added + agent.removed === 0 ? 'it has changed nothing' : ['queued', 'starting'].includes(agent.state) ? 'it has not begun' : '';
  return (
    <li class={won ? 'rival panel rival-won' : agent.archived ? 'rival panel rival-archived' : 'rival panel'} data-rival={agent.id}>
      <div class="rival-head">
        <h2>
          <Link to={`/agents/${agent.id}`}>Agent {agent.id}</Link>
        </h2>
        <StateBadge state={agent.state} />
        {won && <span class="rival-mark">★ winner</span>}
        {agent.archived && <span class="archived">archived</span>}
      </div>
      <p class="rival-said">{plainLine(agent.progress) || reasonOf(agent) || plainLine(agent.last_line ?? '') || <span class="none">{hasEnded(agent) ? changedOf(agent) : 'nothing to tell yet'}</span>}</p>
      <dl class="rival-figures">
        <div>
          <dt>Tests</dt>
          <dd>
            <Tests result={agent.tests} />
          </dd>
        </div>
        <div>
          <dt>Changes</dt>
          <dd>
            <Changes added={agent.added} removed={agent.removed} />
            {agent.files > 0 && <small> {plural(agent.files, 'file')}</small>} <Mark on={best.size === agent.id} best="size" />
          </dd>
        </div>
        <div>
          <dt>Cost</dt>
          <dd title={exactDollars(agent.dollars)}>
            {dollars(agent.dollars)} <Mark on={best.cost === agent.id} best="cost" />
          </dd>
        </div>
        <div>
          <dt>Time</dt>
          <dd>
            {agent.started_at ? duration(took(agent, now.value)) : '–'} <Mark on={best.time === agent.id} best="time" />
          </dd>
        </div>
        <div>
          <dt>Turns</dt>
          <dd>{count(agent.turn)}</dd>
        </div>
        <div>
          <dt>Tokens</dt>
          <dd>{count(agent.tokens_in + agent.tokens_out)}</dd>
        </div>
      </dl>
      {score && (
        <div class="rival-score">
          <span class="rival-points">
            <b>{Math.round(score.score)}</b> of 100
            {judgement?.winner === agent.id && <span class="best">advised</span>}
          </span>
          <progress max={100} value={score.score} aria-label={`Score of agent ${agent.id}`} />
          <p>{plainLine(score.reasons)}</p>
        </div>
      )}
      <div class="rival-end">
        {agent.pull_request && <ExternalLink url={agent.pull_request}>{pullRequestName(agent.pull_request)}</ExternalLink>}
        {won ? (
          <button type="button" class="button button-small" disabled={busy} onClick={onUnpick}>
            Take it back
          </button>
        ) : (
          <button
            type="button"
            class="button button-small"
            aria-disabled={why || busy ? 'true' : undefined}
            title={why ? `Not now: ${why}` : 'Opens its pull request and archives the others'}
            onClick={() => !why && !busy && onPick(agent)}
          >
            Pick as winner
            {why && <span class="hidden">, not now: {why}</span>}
          </button>
        )}
      </div>
    </li>
  );
}

function Advice({ judgement }: { judgement: Judgement }) {
  return (
    <section class="advice panel" aria-labelledby="advice">
      <h2 id="advice">
        {judgement.winner === null ? 'Advice: none of them' : `Advice: agent ${judgement.winner}`}
        <small>
          {' '}
          by {plainLine(judgement.model)}
          {judgement.dollars !== null && judgement.dollars !== undefined && `, ${dollars(judgement.dollars)}`}
        </small>
      </h2>
      <p>{plain(judgement.reasons)}</p>
    </section>
  );
}

function Side({ agent, file, known }: { agent: number; file: PatchFile | undefined; known: boolean }) {
  return (
    <div class="versus-side">
      {file ? <DiffFile file={file} /> : <p class="versus-none">{known ? `Agent ${agent} does not change this file.` : 'Loading…'}</p>}
    </div>
  );
}

function Compare({ agents }: { agents: readonly Agent[] }) {
  const changed = agents.filter(({ files }) => files > 0);
  const left = useSignal(changed[0]?.id ?? agents[0]?.id ?? 0);
  const right = useSignal(changed[1]?.id ?? agents[1]?.id ?? 0);
  const patches: Signal<ReadonlyMap<number, readonly PatchFile[]>> = useSignal(new Map());
  const failed = useSignal('');
  const sizes = agents.map(({ id, added, removed, files }) => `${id}:${added}:${removed}:${files}`).join();
  useEffect(() => {
    let current = true;
    for (const id of new Set([left.value, right.value])) {
      api.diff(id).then(
        (diff) => {
          if (current) patches.value = new Map(patches.value).set(id, parsePatch(diff.patch ?? ''));
        },
        (cause: unknown) => {
          if (current) failed.value = cause instanceof ApiError ? cause.message : String(cause);
        },
      );
    }
    return () => {
      current = false;
    };
  }, [left.value, right.value, sizes]);
  const a = patches.value.get(left.value);
  const b = patches.value.get(right.value);
  const paths = [...new Set([...(a ?? []), ...(b ?? [])].map(({ path }) => path))].sort();
  const choice = (side: Signal<number>, label: string) => (
    <label class="versus-choice">
      <span class="hidden">{label}</span>
      <select value={side.value} onChange={(event) => (side.value = Number(event.currentTarget.value))}>
        {agents.map(({ id, added, removed }) => (
          <option key={id} value={id}>
            Agent {id} (+{added} −{removed})
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <section class="versus" aria-labelledby="versus">
      <h2 id="versus">Changes compared</h2>
      <div class="versus-row versus-choices">
        {choice(left, 'Left')}
        {choice(right, 'Right')}
      </div>
      {failed.value && (
        <p class="notice notice-bad" role="alert">
          {failed.value}
        </p>
      )}
      {a && b && paths.length === 0 && <p class="quiet panel">Neither has changed anything yet.</p>}
      {paths.map((path) => (
        <div key={path} class="versus-row">
          <Side agent={left.value} file={a?.find((file) => file.path === path)} known={a !== undefined} />
          <Side agent={right.value} file={b?.find((file) => file.path === path)} known={b !== undefined} />
        </div>
      ))}
    </section>
  );
}

export function TaskView({ id }: { id: number }) {
  const page = useSignal<TaskPage | null>(null);
  const failed = useSignal<ApiError | null>(null);
  const error = useSignal('');
  const busy = useSignal('');

  const load = async (): Promise<void> => {
    try {
      page.value = await api.task(id);
      failed.value = null;
    } catch (cause) {
      failed.value = cause instanceof ApiError ? cause : new ApiError(String(cause), 0, 'internal', '');
    }
  };
  useEffect(() => {
    const watching = {
      load,
      events(events: readonly Event[]) {
        const known = new Set(page.value?.agents.map((agent) => agent.id));
        // The rows follow by themselves; the rest is asked for.
        const ours = events.some(
          ({ stream, subject, kind }) =>
            (stream === 'task' && subject === id) || (stream === 'agent' && known.has(subject) && ['archive', 'deleted', 'state'].includes(kind)),
        );
        if (ours) void load();
      },
    };
    watched.value = watching;
    void load();
    return () => {
      if (watched.value === watching) watched.value = null;
    };
  }, [id]);

  const act = async (name: string, what: () => Promise<unknown>): Promise<boolean> => {
    if (busy.value) return false;
    busy.value = name;
    error.value = '';
    try {
      await what();
      await load();
      return true;
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause.message : String(cause);
      return false;
    } finally {
      busy.value = '';
    }
  };
  const judge = (): void => void act('judge', () => api.judge(id));
  const unpick = (): void => void act('unpick', () => api.unpick(id));
  const pick = (agent: Agent): void => {
    void act('pick', () => api.pick(id, agent.id)).then((done) => {
      if (done) toast(`Agent ${agent.id} wins; the others are archived.`, { undo: unpick });
    });
  };
  const keys = useMemo(() => {
    const step = (by: number): boolean => {
      const all = [...document.querySelectorAll<HTMLElement>('.rival h2 a')];
      const at = all.indexOf(document.activeElement as HTMLElement);
      const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
      next?.focus();
      return all.length > 0;
    };
    return [
      { keys: 'j', label: 'Next agent', group: 'Task', run: () => step(1) },
      { keys: 'k', label: 'Agent before', group: 'Task', run: () => step(-1) },
    ];
  }, [id]);
  useKeys(keys);

  if (failed.value?.status === 404) {
    return (
      <section class="empty">
        <h1 tabIndex={-1}>No task {id}</h1>
        <p>{failed.value.message}</p>
        <p>
          <Link to="/">All agents</Link>
        </p>
      </section>
    );
  }
  const made = page.value;
  if (!made) {
    return failed.value ? (
      <div class="notice notice-bad" role="alert">
        {failed.value.message}{' '}
        <button type="button" class="button" onClick={() => void load()}>
          Try again
        </button>
      </div>
    ) : (
      <div class="boot" role="status" aria-label="Loading" />
    );
  }
  const { task, winner = null, judgement = null } = made;
  const agents = made.agents.map((agent) => ({ ...agent, ...agentRow(agent.id)?.value, archived: agent.archived === true }));
  const ended = agents.filter(hasEnded);
  const changed = agents.filter(({ added, removed }) => added + removed > 0);
  const judgeWhy = changed.length < 2 ? 'two agents at least must have changed something' : '';
  const best = bests(agents);
  const sum = agents.reduce((all, agent) => all + agent.dollars, 0);
  return (
    <article class="task">
      <header class="task-head">
        <p class="crumbs">
          <Link to="/">Agents</Link> <span aria-hidden="true">/</span> Task {id}
        </p>
        <div class="agent-top">
          <h1 tabIndex={-1}>{plainLine(task.title)}</h1>
          <div class="controls-row">
            <button
              type="button"
              class="button"
              aria-disabled={judgeWhy || busy.value ? 'true' : undefined}
              title={judgeWhy ? `Not now: ${judgeWhy}` : 'The Orchestrator model compares them; you decide'}
              onClick={() => !judgeWhy && judge()}
            >
              {busy.value === 'judge' ? 'The model reads…' : judgement ? 'Ask for advice again' : 'Ask for advice'}
              {judgeWhy && <span class="hidden">, not now: {judgeWhy}</span>}
            </button>
          </div>
        </div>
        <p class="agent-where">
          <span>{plainLine(repositoryName(task.repository))}</span>
          <span class="mono">{plainLine(task.base)}</span>
          <span>{plural(agents.length, 'agent')}</span>
          <span>{ended.length} ended</span>
          <span title={exactDollars(sum)}>{dollars(sum)}</span>
          <span>{dateTime(task.created_at)}</span>
        </p>
        {task.description && (
          <details class="task-text">
            <summary>Description</summary>
            <pre>{plain(task.description)}</pre>
          </details>
        )}
      </header>
      {error.value && (
        <p class="notice notice-bad" role="alert">
          {error.value}
        </p>
      )}
      {winner !== null && (
        <p class="notice notice-good" role="status">
          Agent {winner} is the winner.{' '}
          <button type="button" class="button button-small" disabled={busy.value !== ''} onClick={unpick}>
            Undo
          </button>
        </p>
      )}
      {judgement && <Advice judgement={judgement} />}
      <ul class="rivals">
        {agents.map((agent) => (
          <Card
            key={agent.id}
            agent={agent}
            best={best}
            winner={winner}
            judgement={judgement}
            busy={busy.value !== ''}
            onPick={pick}
            onUnpick={unpick}
          />
        ))}
      </ul>
      {agents.length > 1 && <Compare agents={agents} />}
    </article>
  );
}
