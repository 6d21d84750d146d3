import type { Signal } from '@preact/signals';
import { now } from '../clock';
import { plainLine } from '../clean';
import { age, count, dollars, plural, pullRequestName, repositoryName, sentence } from '../format';
import { Changes, Tests } from '../parts/Figures';
import { ExternalLink } from '../parts/ExternalLink';
import { StateBadge } from '../parts/State';
import { Link } from '../router';
import { agentRow, groups, ids, loadAgents, loadError, loading, totals, type Group } from '../store';
import type { Agent } from '../types';

const COLUMNS = ['Turns', 'Tokens', 'Cost', 'Lines', 'Tests', 'Time'];

function lineOf(agent: Agent): string {
  const reason = sentence(plainLine(agent.reason));
  if (reason && (agent.state === 'waiting' || agent.state === 'failed' || agent.state === 'paused')) return reason;
  return plainLine(agent.progress) || reason;
}

function Since({ agent }: { agent: Agent }) {
  const running = !agent.ended_at;
  const from = agent.started_at ?? agent.created_at;
  const ms = running ? now.value - from : now.value - (agent.ended_at ?? from);
  return (
    <span title={running ? 'since its start' : 'since its end'}>
      {age(ms)}
      {!running && ' ago'}
    </span>
  );
}

function Row({ row }: { row: Signal<Agent> }) {
  const agent = row.value;
  const said = lineOf(agent);
  return (
    <li class="row" data-agent={agent.id}>
      <div class="row-state">
        <StateBadge state={agent.state} />
      </div>
      <div class="row-main">
        <div class="row-title">
          <Link to={`/agents/${agent.id}`}>{plainLine(agent.title) || `Agent ${agent.id}`}</Link>
          {agent.pull_request && (
            <ExternalLink class="row-pr" url={agent.pull_request}>
              {pullRequestName(agent.pull_request)}
            </ExternalLink>
          )}
        </div>
        <p class="row-said">{said || <span class="none">nothing to tell yet</span>}</p>
        <p class="row-where">
          <span>#{agent.id}</span>
          <span>{plainLine(repositoryName(agent.repository))}</span>
          <span class="mono">{agent.branch}</span>
        </p>
      </div>
      <dl class="row-figures">
        <div>
          <dt>Turns</dt>
          <dd>{count(agent.turn)}</dd>
        </div>
        <div>
          <dt>Tokens</dt>
          <dd>{count(agent.tokens_in + agent.tokens_out)}</dd>
        </div>
        <div>
          <dt>Cost</dt>
          <dd>{dollars(agent.dollars)}</dd>
        </div>
        <div>
          <dt>Lines</dt>
          <dd>
            <Changes added={agent.added} removed={agent.removed} />
          </dd>
        </div>
        <div>
          <dt>Tests</dt>
          <dd>
            <Tests result={agent.tests} />
          </dd>
        </div>
        <div>
          <dt>Time</dt>
          <dd>
            <Since agent={agent} />
          </dd>
        </div>
      </dl>
    </li>
  );
}

function Section({ group }: { group: Group }) {
  return (
    <section class="group" aria-label={group.name}>
      <div class="group-head">
        <h2>
          {group.name} <span class="group-count">{group.ids.length}</span>
        </h2>
        {group.hint && <span class="group-hint">{group.hint}</span>}
        <span class="group-columns" aria-hidden="true">
          {COLUMNS.map((name) => (
            <span key={name}>{name}</span>
          ))}
        </span>
      </div>
      <ul class="rows panel">
        {group.ids.map((id) => {
          const row = agentRow(id);
          return row && <Row key={id} row={row} />;
        })}
      </ul>
    </section>
  );
}

function Empty() {
  return (
    <section class="empty panel">
      <h2>No agents yet</h2>
      <p>Give a Git repository and a task. Each agent works on a branch of its own, and you watch it live here.</p>
      <p>
        <Link to="/new" class="button button-main">
          New task
        </Link>
      </p>
      <p class="hint">
        or on the command line: <code>100x new REPOSITORY "what is to be done"</code>
      </p>
    </section>
  );
}

export function AgentsView() {
  const sum = totals.value;
  return (
    <div class="board">
      <div class="view-head">
        <h1 tabIndex={-1}>Agents</h1>
        {ids.value.length > 0 && (
          <p class="view-sum">
            {plural(ids.value.length, 'agent')} · {count(sum.tokens)} tokens · {dollars(sum.dollars)}
          </p>
        )}
      </div>
      {loadError.value && (
        <div class="notice notice-bad" role="alert">
          {loadError.value}{' '}
          <button type="button" class="button" onClick={() => void loadAgents()}>
            Try again
          </button>
        </div>
      )}
      {loading.value ? (
        <div class="boot" role="status" aria-label="Loading" />
      ) : ids.value.length ? (
        groups.value.map((group) => <Section key={group.name} group={group} />)
      ) : (
        !loadError.value && <Empty />
      )}
    </div>
  );
}
