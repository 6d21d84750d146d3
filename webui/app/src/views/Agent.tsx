import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { now } from '../clock';
import { plain, plainLine } from '../clean';
import { count, dateTime, dollars, duration, exactDollars, plural, pullRequestName, repositoryName, sentence } from '../format';
import { Changed } from '../parts/Changed';
import { Composer } from '../parts/Composer';
import { Controls } from '../parts/Controls';
import { ExternalLink } from '../parts/ExternalLink';
import { Changes, Tests } from '../parts/Figures';
import { LogView } from '../parts/LogView';
import { Questions } from '../parts/Questions';
import { StateBadge } from '../parts/State';
import { Turns } from '../parts/Turns';
import { Link, navigate } from '../router';
import { agentRow } from '../store';
import type { Agent, Task } from '../types';
import { Watch, type Progress } from '../watch';
import { watched } from '../watched';

const TABS = [
  ['output', 'Output'],
  ['turns', 'Turns'],
  ['changes', 'Changes'],
  ['task', 'Task'],
] as const;

const STEPS: Record<string, string> = {
  mirror: 'Fetching the repository',
  clone: 'Making the workspace',
  push: 'Pushing the branch',
  start: 'Starting the agent',
};

function Steps({ progress }: { progress: Progress }) {
  const known = progress.total > 0;
  return (
    <div class="steps" role="status">
      <span>
        {STEPS[progress.what] ?? plainLine(progress.what)}
        {known && ` – ${Math.floor((100 * progress.done) / progress.total)} %`}
        {progress.text && <span class="steps-text"> {plainLine(progress.text)}</span>}
      </span>
      {known ? (
        <progress max={progress.total} value={progress.done} aria-label={STEPS[progress.what] ?? 'Progress'} />
      ) : (
        <progress aria-label={STEPS[progress.what] ?? 'Progress'} />
      )}
    </div>
  );
}

function Figures({ agent }: { agent: Agent }) {
  const from = agent.started_at;
  return (
    <dl class="figures">
      <div>
        <dt>Turns</dt>
        <dd>{count(agent.turn)}</dd>
      </div>
      <div>
        <dt>Tokens</dt>
        <dd title={`${agent.tokens_in} in, ${agent.tokens_out} out`}>
          {count(agent.tokens_in)} <small>in</small> {count(agent.tokens_out)} <small>out</small>
        </dd>
      </div>
      <div>
        <dt>Cost</dt>
        <dd title={exactDollars(agent.dollars)}>{dollars(agent.dollars)}</dd>
      </div>
      <div>
        <dt>Changes</dt>
        <dd>
          <Changes added={agent.added} removed={agent.removed} />
          {agent.files > 0 && <small> in {plural(agent.files, 'file')}</small>}
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
        <dd title={dateTime(agent.created_at)}>{from ? duration((agent.ended_at ?? now.value) - from) : '–'}</dd>
      </div>
    </dl>
  );
}

function Head({ agent, watch }: { agent: Agent; watch: Watch }) {
  const reason = sentence(plainLine(agent.reason));
  const progress = watch.progress.value;
  return (
    <header class="agent-head">
      <p class="crumbs">
        <Link to="/">Agents</Link> <span aria-hidden="true">/</span> #{agent.id}
      </p>
      <div class="agent-top">
        <div class="agent-title">
          <h1 tabIndex={-1}>{plainLine(agent.title) || `Agent ${agent.id}`}</h1>
          <StateBadge state={agent.state} />
        </div>
        <Controls agent={agent} />
      </div>
      <p class="agent-where">
        <span>{plainLine(repositoryName(agent.repository))}</span>
        <span class="mono">
          {plainLine(agent.base)} → {plainLine(agent.branch)}
        </span>
        {agent.pull_request && (
          <ExternalLink class="agent-pr" url={agent.pull_request}>
            {pullRequestName(agent.pull_request)}
          </ExternalLink>
        )}
      </p>
      {reason && agent.state !== 'working' && watch.questions.value.length === 0 && (
        <p class={`notice notice-${agent.state === 'failed' ? 'bad' : agent.state === 'waiting' ? 'warn' : 'plain'}`}>{reason}</p>
      )}
      {plainLine(agent.progress) && <p class="agent-said">{plainLine(agent.progress)}</p>}
      {progress && agent.state !== 'working' && <Steps progress={progress} />}
      <Figures agent={agent} />
    </header>
  );
}

function TaskCard({ task }: { task: Task | null }) {
  if (!task) return null;
  const limits = [
    task.limits?.turns ? plural(task.limits.turns, 'turn') : '',
    task.limits?.minutes ? plural(task.limits.minutes, 'minute') : '',
    task.limits?.dollars ? dollars(task.limits.dollars) : '',
  ].filter(Boolean);
  return (
    <div class="panel task-card">
      <h2>{plainLine(task.title)}</h2>
      {task.description && <pre>{plain(task.description)}</pre>}
      <dl>
        <dt>Repository</dt>
        <dd class="mono">{plainLine(task.repository)}</dd>
        <dt>Base branch</dt>
        <dd class="mono">{plainLine(task.base)}</dd>
        <dt>Agents</dt>
        <dd>{task.agents}</dd>
        <dt>Manager</dt>
        <dd>{task.manager ? 'on' : 'off'}</dd>
        <dt>Permissions</dt>
        <dd>{task.permission === 'ask' ? 'ask each time' : 'allowed inside the workspace'}</dd>
        <dt>Test command</dt>
        <dd class="mono">{plainLine(task.test_command) || 'none'}</dd>
        <dt>Aider arguments</dt>
        <dd class="mono">{plainLine(task.aider_arguments) || 'none'}</dd>
        <dt>Models</dt>
        <dd class="mono">{[task.models?.agent, task.models?.aider].filter(Boolean).join(' · ') || 'as in the settings'}</dd>
        <dt>Limits</dt>
        <dd>{limits.join(', ') || 'none'}</dd>
        <dt>Pull request</dt>
        <dd>{task.pull_request ? 'yes' : 'no'}</dd>
        <dt>Created</dt>
        <dd>{dateTime(task.created_at)}</dd>
      </dl>
    </div>
  );
}

function Tabs({ id, tab, watch }: { id: number; tab: string; watch: Watch }) {
  const counts: Record<string, number> = { turns: watch.turns.value.length, changes: watch.diff.value?.files?.length ?? 0 };
  const go = (name: string): void => navigate(`/agents/${id}${name === 'output' ? '' : `?tab=${name}`}`, true);
  const keys = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const at = TABS.findIndex(([name]) => name === tab);
    const next = TABS[(at + step + TABS.length) % TABS.length]?.[0] ?? 'output';
    go(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Views of the agent" onKeyDown={keys}>
      {TABS.map(([name, label]) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-selected={tab === name}
          aria-controls="tab-panel"
          tabIndex={tab === name ? 0 : -1}
          onClick={() => go(name)}
        >
          {label}
          {counts[name] ? <span class="tab-count">{counts[name]}</span> : null}
        </button>
      ))}
    </div>
  );
}

export function AgentView({ id, tab: wanted }: { id: number; tab: string }) {
  const made = useSignal<Watch | null>(null);
  useEffect(() => {
    const watch = new Watch(id);
    made.value = watch;
    watched.value = watch;
    return () => {
      watch.close();
      if (watched.value === watch) watched.value = null;
    };
  }, [id]);

  const watch = made.value;
  const failed = watch?.failed.value;
  // The board's row is always as new as the newest event.
  const agent = agentRow(id)?.value ?? watch?.agent.value;
  if (failed?.status === 404) {
    return (
      <section class="empty">
        <h1 tabIndex={-1}>No agent {id}</h1>
        <p>{failed.message}</p>
        <p>
          <Link to="/">All agents</Link>
        </p>
      </section>
    );
  }
  const notice = failed && (
    <div class="notice notice-bad" role="alert">
      {failed.message}{' '}
      <button type="button" class="button" onClick={() => void watch?.load()}>
        Try again
      </button>
    </div>
  );
  if (!watch || !agent || watch.loading.value) return notice || <div class="boot" role="status" aria-label="Loading" />;
  const tab = TABS.some(([name]) => name === wanted) ? wanted : 'output';
  return (
    <article class={`agent agent-${tab}`}>
      <Head agent={agent} watch={watch} />
      {notice}
      <Questions agent={id} events={watch.questions.value} />
      <Tabs id={id} tab={tab} watch={watch} />
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`} class="tab-panel">
        {tab === 'output' && <LogView watch={watch} />}
        {tab === 'turns' && <Turns turns={watch.turns.value} opening={watch.opening.value} />}
        {tab === 'changes' && <Changed diff={watch.diff.value} />}
        {tab === 'task' && <TaskCard task={watch.task.value} />}
      </div>
      <Composer agent={agent} />
    </article>
  );
}
