// New tasks: where, what, how many agents, and within which limits.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, ApiError, requestKey } from '../api';
import { plainLine } from '../clean';
import { fresh, isBlank, keepDraft, keptDraft, requestOf } from '../draft';
import { besideField, checkDraft, checkRepository, fieldIn, placeOf, type Draft, type Errors, type TaskDraft } from '../form';
import { plural, repositoryName } from '../format';
import { AreaField, ChoiceField, SwitchField, TextField } from '../parts/Field';
import { Icon } from '../parts/Icon';
import { Issues } from '../parts/Issues';
import { ModelField } from '../parts/ModelField';
import { Paste } from '../parts/Paste';
import { Split } from '../parts/Split';
import { useRepository, type Checked } from '../repository';
import { navigate } from '../router';
import { agents } from '../store';
import { addTasks, newTask, type Listed } from '../tasklist';
import { toast } from '../toast';
import type { KnownRepository } from '../types';

const TASKS_MAX = 100;
const SETTLE_MS = 600;

const FIELDS = [
  'repository', 'base', 'agents_per_task', 'aider_arguments', 'test_command', 'permission',
  'limits.turns', 'limits.minutes', 'limits.dollars', 'models.agent', 'models.aider',
];

// Repositories of earlier tasks, the newest first.
function useRepositories(): readonly KnownRepository[] {
  const [known, setKnown] = useState<readonly KnownRepository[]>([]);
  useEffect(() => {
    api.repositories().then(
      ({ repositories }) => setKnown(repositories),
      () => {
        const seen = new Map<string, KnownRepository>();
        for (const { repository, base, created_at } of agents.peek()) {
          if (!seen.has(repository)) seen.set(repository, { repository, base, tasks: 1, last_at: created_at });
        }
        setKnown([...seen.values()]);
      },
    );
  }, []);
  return known;
}

function CheckedLine({ checked }: { checked: Checked }) {
  if (checked.state === 'checking') return <p class="checked hint" role="status">Looking for the repository…</p>;
  if (checked.state !== 'good') return <p class="checked hint" role="status" />;
  const { base, head, branches } = checked.answer;
  return (
    <p class="checked checked-good" role="status">
      <Icon name="check" size={14} />
      <span>
        <span class="mono">{plainLine(base)}</span> at <span class="mono">{head.slice(0, 7)}</span>
        {branches?.length > 0 && ` · ${plural(branches.length, 'branch', 'branches')}`}
      </span>
    </p>
  );
}

interface TaskProps {
  task: TaskDraft;
  index: number;
  only: boolean;
  errors: Errors;
  onTask: (change: Partial<TaskDraft>, field: string) => void;
  onRemove: () => void;
}

function TaskFields({ task, index, only, errors, onTask, onRemove }: TaskProps) {
  return (
    <fieldset class="task-draft">
      <legend>Task {index + 1}</legend>
      {!only && (
        <button type="button" class="button-icon task-remove" aria-label={`Remove task ${index + 1}`} onClick={onRemove}>
          <Icon name="close" size={14} />
        </button>
      )}
      <TextField
        label="Title"
        name={`title-${index}`}
        value={task.title}
        onValue={(title) => onTask({ title }, `tasks[${index}].title`)}
        placeholder="Parse dates without a year"
        error={errors[`tasks[${index}].title`]}
      />
      <AreaField
        label="Description"
        name={`description-${index}`}
        optional
        rows={only ? 4 : 2}
        value={task.description}
        onValue={(description) => onTask({ description }, `tasks[${index}].description`)}
        placeholder="What is wrong or wanted, where to look, how to know that it works."
        error={errors[`tasks[${index}].description`]}
      />
    </fieldset>
  );
}

export function NewView() {
  const [draft, setDraft] = useState<Draft>(keptDraft);
  // What the server said of the last try, and which fields a person has finished with.
  const [refused, setRefused] = useState<Errors>({});
  const [settled, setSettled] = useState<ReadonlySet<string>>(new Set());
  const [failure, setFailure] = useState('');
  const [busy, setBusy] = useState(false);
  const [dialog, setDialog] = useState<'' | 'paste' | 'issues' | 'split'>('');
  const form = useRef<HTMLFormElement>(null);
  // The same key for the same request: a second try after a lost answer does it once.
  const key = useRef('');
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());
  const repositories = useRepositories();
  const checked = useRepository(draft.repository, draft.base);
  const [models, setModels] = useState<Record<string, string>>({});

  useEffect(() => {
    api.config().then(({ models: configured }) => setModels(configured), () => {});
  }, []);
  const latest = useRef(draft);
  latest.current = draft;
  // Once it is sent there is nothing to keep, whatever timer is still under way.
  const sent = useRef(false);
  const save = (): void => {
    if (!sent.current) keepDraft(isBlank(latest.current) ? null : latest.current);
  };
  useEffect(() => {
    const timer = setTimeout(save, 200);
    return () => clearTimeout(timer);
  }, [draft]);
  // Also what was typed a moment before the page is left.
  useEffect(() => {
    window.addEventListener('pagehide', save);
    return () => {
      window.removeEventListener('pagehide', save);
      for (const timer of timers.current.values()) clearTimeout(timer);
      save();
    };
  }, []);

  const found = useMemo(() => checkDraft(draft), [draft]);
  const errors: Errors = { ...refused };
  for (const [field, message] of Object.entries(found)) if (settled.has(field)) errors[field] = message;
  if (checked.state === 'bad' && !errors[checked.field]) errors[checked.field] = besideField(checked.message);

  const settle = (field: string): void => {
    clearTimeout(timers.current.get(field));
    timers.current.set(field, setTimeout(() => setSettled((was) => new Set([...was, field])), SETTLE_MS));
  };
  const set = (change: Partial<Draft>, field?: string): void => {
    key.current = '';
    setDraft((was) => ({ ...was, ...change }));
    setFailure('');
    if (!field) return;
    settle(field);
    if (refused[field]) setRefused(({ [field]: _, ...rest }) => rest);
  };
  const setTasks = (tasks: TaskDraft[]): void => {
    setRefused({});
    setSettled((was) => new Set([...was].filter((field) => !field.startsWith('tasks['))));
    set({ tasks: tasks.length ? tasks : [newTask()] });
  };
  const take = (listed: readonly Listed[]): void => {
    setTasks(addTasks(draft.tasks, listed, TASKS_MAX));
    setDialog('');
  };
  const removeTask = (index: number): void => {
    const before = draft.tasks;
    const [gone] = before.slice(index, index + 1);
    setTasks(before.filter((_, i) => i !== index));
    if (gone && (gone.title.trim() || gone.description.trim())) {
      toast('Task removed', { undo: () => setDraft((was) => ({ ...was, tasks: [...was.tasks.slice(0, index), gone, ...was.tasks.slice(index)] })) });
    }
  };
  const clear = (): void => {
    const before = draft;
    setRefused({});
    setSettled(new Set());
    setFailure('');
    setDraft(fresh());
    toast('The form is cleared', { undo: () => setDraft(before) });
  };
  const show = (): void =>
    queueMicrotask(() => {
      const bad = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]');
      const foldedIn = bad?.closest('details');
      if (foldedIn) foldedIn.open = true;
      bad?.focus();
    });

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setSettled(new Set(Object.keys(found)));
    if (Object.keys(found).length) {
      show();
      return;
    }
    setBusy(true);
    setRefused({});
    setFailure('');
    key.current ||= requestKey();
    try {
      const { tasks } = await api.create(requestOf(draft), key.current);
      sent.current = true;
      keepDraft(null);
      const made = tasks.flatMap((task) => task.agents);
      navigate(made.length === 1 ? `/agents/${made[0]}` : tasks.length === 1 ? `/tasks/${tasks[0]?.id}` : '/');
    } catch (cause) {
      const error = cause as ApiError;
      // An answer that came is final: the next try is a new request.
      if (error.status !== 0) key.current = '';
      const known = [...FIELDS, ...draft.tasks.flatMap((_, i) => [`tasks[${i}].title`, `tasks[${i}].description`])];
      const place = placeOf(error.field || fieldIn(error.message), known);
      if (place) {
        setRefused({ [place]: besideField(error.message) });
        show();
      } else setFailure(error.message);
    } finally {
      setBusy(false);
    }
  };

  const count = Number(draft.agents) * draft.tasks.length;
  const good = !checkRepository(draft.repository);
  const branches = checked.state === 'good' ? (checked.answer.branches ?? []) : [];
  const recent = repositories.filter(({ repository }) => repository !== draft.repository).slice(0, 5);
  return (
    <>
    <form ref={form} class="create" onSubmit={(event) => void submit(event)} noValidate>
      <div class="view-head">
        <h1 tabIndex={-1}>New task</h1>
        <p class="view-sum">Each agent works on a branch of its own and ends in a pull request, or a branch.</p>
      </div>

      <div class="create-main">
        <section class="panel form-part" aria-label="Repository">
          <h2>Repository</h2>
          <div class="form-grid form-grid-wide">
            <TextField
              label="Address"
              name="repository"
              value={draft.repository}
              onValue={(repository) => set({ repository }, 'repository')}
              placeholder="https://github.com/owner/name"
              error={errors['repository']}
              list="repositories"
              mono
              focus
            />
            <TextField
              label="Base branch"
              name="base"
              optional
              value={draft.base}
              onValue={(base) => set({ base }, 'base')}
              placeholder={checked.state === 'good' ? checked.answer.default || checked.answer.base : "the repository's default"}
              error={errors['base']}
              list="branches"
              mono
            />
          </div>
          <CheckedLine checked={checked} />
          {!draft.repository && recent.length > 0 && (
            <p class="recent">
              <span class="hint">Recent</span>
              {recent.map(({ repository, base }) => (
                <button key={repository} type="button" class="chip chip-button" onClick={() => set({ repository, base: base ?? '' })} title={repository}>
                  {plainLine(repositoryName(repository))}
                </button>
              ))}
            </p>
          )}
          <datalist id="repositories">
            {repositories.map(({ repository }) => (
              <option key={repository} value={repository}>
                {repositoryName(repository)}
              </option>
            ))}
          </datalist>
          <datalist id="branches">
            {branches.slice(0, 500).map((branch) => (
              <option key={branch} value={branch} />
            ))}
          </datalist>
        </section>

        <section class="panel form-part" aria-label="Tasks">
          <div class="form-head">
            <h2>
              Tasks {draft.tasks.length > 1 && <span class="group-count">{draft.tasks.length}</span>}
            </h2>
            <button type="button" class="button button-small" onClick={() => setDialog('paste')}>
              Paste a list
            </button>
            <button
              type="button"
              class="button button-small"
              disabled={!good}
              title={good ? '' : 'Give the repository first'}
              onClick={() => setDialog('issues')}
            >
              Load issues
            </button>
            <button
              type="button"
              class="button button-small"
              disabled={!good}
              title={good ? '' : 'Give the repository first'}
              onClick={() => setDialog('split')}
            >
              Split a goal
            </button>
          </div>
          {draft.tasks.map((task, index) => (
            <TaskFields
              key={task.key}
              task={task}
              index={index}
              only={draft.tasks.length === 1}
              errors={errors}
              onTask={(change, field) => set({ tasks: draft.tasks.map((one, i) => (i === index ? { ...one, ...change } : one)) }, field)}
              onRemove={() => removeTask(index)}
            />
          ))}
          <button
            type="button"
            class="button"
            disabled={draft.tasks.length >= TASKS_MAX}
            onClick={() => {
              set({ tasks: [...draft.tasks, newTask()] });
              queueMicrotask(() => form.current?.querySelector<HTMLElement>(`[name="title-${draft.tasks.length}"]`)?.focus());
            }}
          >
            <Icon name="plus" size={14} />
            Add another task
          </button>
        </section>
      </div>

      <aside class="create-side" aria-label="How">
        <section class="panel form-part" aria-label="Agents">
          <h2>Agents</h2>
          <div class="form-stack">
            <TextField
              label="Agents per task"
              name="agents_per_task"
              digits
              value={draft.agents}
              onValue={(value) => set({ agents: value }, 'agents_per_task')}
              hint="1 to 10 rivals; you pick the best"
              error={errors['agents_per_task']}
            />
            <TextField
              label="Test command"
              name="test_command"
              optional
              value={draft.testCommand}
              onValue={(testCommand) => set({ testCommand }, 'test_command')}
              placeholder="make test"
              hint="must pass before an agent finishes"
              error={errors['test_command']}
              mono
            />
            <ChoiceField
              label="Permissions"
              name="permission"
              value={draft.permission}
              onValue={(permission) => set({ permission }, 'permission')}
              options={[
                ['allow', 'Allow inside the workspace'],
                ['ask', 'Ask me each time'],
              ]}
              hint="when an agent wants to run something"
              error={errors['permission']}
            />
            <SwitchField
              name="manager"
              label="Manager"
              hint="A model reads each answer and decides what is next. Off: the task is given once, then tests decide."
              checked={draft.manager}
              onValue={(manager) => set({ manager })}
            />
            <SwitchField
              name="pull_request"
              label="Open a pull request"
              hint="On GitHub, with a token. Off: the branch is the result."
              checked={draft.pullRequest}
              onValue={(pullRequest) => set({ pullRequest })}
            />
          </div>
        </section>
        <details class="panel form-part">
          <summary>Limits, models and aider's arguments</summary>
          <div class="form-stack">
            <div class="form-grid">
              <TextField
                label="Turns"
                name="limit_turns"
                digits
                value={draft.turns}
                onValue={(turns) => set({ turns }, 'limits.turns')}
                placeholder="default"
                error={errors['limits.turns']}
              />
              <TextField
                label="Minutes"
                name="limit_minutes"
                digits
                value={draft.minutes}
                onValue={(minutes) => set({ minutes }, 'limits.minutes')}
                placeholder="default"
                error={errors['limits.minutes']}
              />
              <TextField
                label="Dollars"
                name="limit_dollars"
                digits
                value={draft.dollars}
                onValue={(dollars) => set({ dollars }, 'limits.dollars')}
                placeholder="default"
                error={errors['limits.dollars']}
              />
            </div>
            <ModelField
              label="Agent model"
              name="agent_model"
              optional
              value={draft.agentModel}
              onValue={(agentModel) => set({ agentModel }, 'models.agent')}
              placeholder={models['agent'] ?? 'as in Settings'}
              fallback={models['agent'] ?? ''}
              error={errors['models.agent']}
            />
            <ModelField
              label="Aider model"
              name="aider_model"
              optional
              value={draft.aiderModel}
              onValue={(aiderModel) => set({ aiderModel }, 'models.aider')}
              placeholder={models['aider'] ?? 'as in Settings'}
              fallback={models['aider'] ?? ''}
              error={errors['models.aider']}
            />
            <TextField
              label="Extra aider arguments"
              name="aider_arguments"
              optional
              value={draft.aiderArguments}
              onValue={(aiderArguments) => set({ aiderArguments }, 'aider_arguments')}
              placeholder="--map-tokens 2048"
              hint="split as a shell does; those that would break the connection to aider are refused"
              error={errors['aider_arguments']}
              mono
            />
          </div>
        </details>
        {failure && (
          <div class="notice notice-bad" role="alert">
            {failure}
          </div>
        )}
        <div class="form-end">
          <button type="submit" class="button button-main button-wide" disabled={busy}>
            {busy ? 'Checking the repository…' : count > 1 ? `Start ${count} agents` : 'Start agent'}
          </button>
          {busy && <progress aria-label="Checking the repository" />}
          <p class="hint">
            {draft.tasks.length > 1 && count > 1 ? `${draft.tasks.length} tasks × ${draft.agents}. ` : ''}
            The draft is kept on this browser until it is started.
            {!isBlank(draft) && (
              <>
                {' '}
                <button type="button" class="link" onClick={clear}>
                  Clear it
                </button>
              </>
            )}
          </p>
        </div>
      </aside>
    </form>
    {dialog === 'paste' && <Paste onPick={take} onClose={() => setDialog('')} />}
    {dialog === 'issues' && <Issues repository={draft.repository.trim()} onPick={take} onClose={() => setDialog('')} />}
    {dialog === 'split' && <Split repository={draft.repository.trim()} base={draft.base.trim()} onPick={take} onClose={() => setDialog('')} />}
    </>
  );
}
