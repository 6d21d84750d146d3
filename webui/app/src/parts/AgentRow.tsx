// One agent on the board.
import { useComputed, type ReadonlySignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { act, tell } from '../actions';
import { select, selected } from '../board';
import { plainLine } from '../clean';
import { changedOf, count, dateTime, dollars, exactDollars, pullRequestName, reasonOf, repositoryName } from '../format';
import { Link } from '../router';
import { enteredAt, type Entry, type Progress } from '../store';
import type { Agent } from '../types';
import { ExternalLink } from './ExternalLink';
import { Changes } from './Figures';
import { Age, Spark, StepBar } from './Live';
import { followRow } from './focus';
import { StateBadge } from './State';

const LIVE: readonly Agent['state'][] = ['starting', 'working', 'finishing'];

function lineOf(agent: Agent): string {
  const reason = reasonOf(agent);
  if (reason && ['waiting', 'failed', 'paused'].includes(agent.state)) return reason;
  return plainLine(agent.progress) || reason;
}

const IDLE: Partial<Record<Agent['state'], string>> = { queued: 'waits for its turn', starting: 'is being started' };

function Tail({ tail, progress }: { tail: ReadonlySignal<string>; progress: ReadonlySignal<Progress | null> }) {
  const step = progress.value;
  if (step) return <StepBar progress={step} />;
  return <p class="row-tail">{tail}</p>;
}

// What it says of itself, or where there is nothing of that, its last line.
function Said({ said, tail, idle }: { said: string; tail: ReadonlySignal<string>; idle: string }) {
  return <p class="row-said">{said || tail.value || <span class="none">{idle}</span>}</p>;
}

function Pick({ id, name }: { id: number; name: string }) {
  const on = useComputed(() => selected.value.has(id));
  return (
    <label class="row-pick">
      <input type="checkbox" checked={on} aria-label={`Select ${name}`} onChange={(event) => select([id], event.currentTarget.checked)} />
    </label>
  );
}

export function AgentRow({ entry }: { entry: Entry }) {
  const agent = entry.row.value;
  const since = useComputed(() => enteredAt(entry.row.value));
  const live = LIVE.includes(agent.state);
  const said = lineOf(agent);
  const title = plainLine(agent.title) || `Agent ${agent.id}`;
  const box = useRef<HTMLLIElement>(null);
  // A row that moves to another section takes the focus along.
  useLayoutEffect(
    () => () => {
      if (box.current?.contains(document.activeElement)) followRow(agent.id);
    },
    [],
  );
  return (
    <li ref={box} class={`row row-${agent.state}`} data-agent={agent.id}>
      <Pick id={agent.id} name={`#${agent.id} ${title}`} />
      <div class="row-state">
        <StateBadge state={agent.state} />
        <span class="row-age" title={`since ${dateTime(since.value)}`}>
          <Age since={since} />
        </span>
      </div>
      <div class="row-main">
        <div class="row-title">
          <Link to={`/agents/${agent.id}`} class="row-link">
            {title}
          </Link>
          <span class="row-where">
            <span>#{agent.id}</span>
            <span>{plainLine(repositoryName(agent.repository))}</span>
            <span class="mono">{plainLine(agent.branch)}</span>
          </span>
        </div>
        {(said || !live) && <Said said={said} tail={entry.tail} idle={IDLE[agent.state] ?? changedOf(agent)} />}
        {live && <Tail tail={entry.tail} progress={entry.progress} />}
      </div>
      <div class="row-acts">
        {agent.pull_request && (
          <ExternalLink class="chip" url={agent.pull_request}>
            {pullRequestName(agent.pull_request).replace('Pull request', 'PR')}
          </ExternalLink>
        )}
        {agent.tests && (
          <span class={`chip chip-${agent.tests === 'passed' ? 'good' : 'bad'}`}>{agent.tests === 'passed' ? '✓ tests' : '✗ tests'}</span>
        )}
        {agent.state === 'waiting' && (
          <button type="button" class="button button-small button-warn" onClick={() => tell([agent.id])}>
            Reply
          </button>
        )}
        {agent.state === 'failed' && (
          <button type="button" class="button button-small" onClick={() => void act('retry', [agent.id])}>
            Retry
          </button>
        )}
      </div>
      <Spark pulse={entry.pulse} live={live} />
      <dl class="row-figures">
        <div>
          <dt>Lines</dt>
          <dd>
            <Changes added={agent.added} removed={agent.removed} />
          </dd>
        </div>
        <div>
          <dt>Turns</dt>
          <dd>{agent.turn ? count(agent.turn) : <span class="none">–</span>}</dd>
        </div>
        <div>
          <dt>Tokens</dt>
          <dd title={`${agent.tokens_in} in, ${agent.tokens_out} out`}>
            {agent.tokens_in + agent.tokens_out ? count(agent.tokens_in + agent.tokens_out) : <span class="none">–</span>}
          </dd>
        </div>
        <div>
          <dt>Cost</dt>
          <dd title={exactDollars(agent.dollars)}>{agent.dollars ? dollars(agent.dollars) : <span class="none">–</span>}</dd>
        </div>
      </dl>
    </li>
  );
}
