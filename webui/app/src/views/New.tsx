import { useRef, useState } from 'preact/hooks';
import { api, ApiError, requestKey, type NewTasks } from '../api';
import { repositoryName } from '../format';
import { besideField, checkDraft, fieldIn, placeOf, type Draft, type Errors, type TaskDraft } from '../form';
import { AreaField, ChoiceField, SwitchField, TextField } from '../parts/Field';
import { navigate } from '../router';
import { agentRow, ids } from '../store';

const TASKS_MAX = 100;

let taskKey = 0;
const newTask = (): TaskDraft => ({ key: ++taskKey, title: '', description: '' });

const fresh = (): Draft => ({
  repository: '',
  base: '',
  tasks: [newTask()],
  agents: '1',
  aiderArguments: '',
  testCommand: '',
  manager: true,
  permission: 'allow',
  turns: '',
  minutes: '',
  dollars: '',
  agentModel: '',
  aiderModel: '',
  pullRequest: true,
});

const given = <T,>(object: Record<string, T>): Record<string, T> | undefined =>
  Object.keys(object).length ? object : undefined;

function requestOf(draft: Draft): NewTasks {
  const limits: Record<string, number> = {};
  if (draft.turns) limits['turns'] = Number(draft.turns);
  if (draft.minutes) limits['minutes'] = Number(draft.minutes);
  if (draft.dollars) limits['dollars'] = Number(draft.dollars);
  const models: Record<string, string> = {};
  if (draft.agentModel.trim()) models['agent'] = draft.agentModel.trim();
  if (draft.aiderModel.trim()) models['aider'] = draft.aiderModel.trim();
  const all = {
    repository: draft.repository.trim(),
    base: draft.base.trim() || undefined,
    tasks: draft.tasks.map(({ title, description }) => ({
      title: title.trim(),
      ...(description.trim() ? { description: description.trim() } : {}),
    })),
    agents_per_task: Number(draft.agents),
    aider_arguments: draft.aiderArguments.trim() || undefined,
    test_command: draft.testCommand.trim() || undefined,
    manager: draft.manager,
    permission: draft.permission,
    limits: given(limits),
    models: given(models),
    pull_request: draft.pullRequest,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as unknown as NewTasks;
}

const FIELDS = [
  'repository', 'base', 'agents_per_task', 'aider_arguments', 'test_command', 'permission',
  'limits.turns', 'limits.minutes', 'limits.dollars', 'models.agent', 'models.aider',
];

export function NewView() {
  const [draft, setDraft] = useState<Draft>(fresh);
  const [errors, setErrors] = useState<Errors>({});
  const [failure, setFailure] = useState('');
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  // The same key for the same request: a second try after a lost answer does it once.
  const key = useRef('');

  const known = [
    ...FIELDS,
    ...draft.tasks.flatMap((_, index) => [`tasks[${index}].title`, `tasks[${index}].description`]),
  ];
  const set = (change: Partial<Draft>, field?: string): void => {
    key.current = '';
    setDraft((was) => ({ ...was, ...change }));
    setFailure('');
    if (field && errors[field]) setErrors(({ [field]: _, ...rest }) => rest);
  };
  const setTask = (index: number, change: Partial<TaskDraft>, field: string): void =>
    set({ tasks: draft.tasks.map((task, i) => (i === index ? { ...task, ...change } : task)) }, field);
  const showErrors = (found: Errors): void => {
    setErrors(found);
    queueMicrotask(() =>
      requestAnimationFrame(() => {
        const bad = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]');
        const folded = bad?.closest('details');
        if (folded) folded.open = true;
        bad?.focus();
      }),
    );
  };

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    const found = checkDraft(draft);
    if (Object.keys(found).length) {
      showErrors(found);
      return;
    }
    setBusy(true);
    setErrors({});
    setFailure('');
    key.current ||= requestKey();
    try {
      const { tasks } = await api.create(requestOf(draft), key.current);
      const agents = tasks.flatMap((task) => task.agents);
      navigate(agents.length === 1 ? `/agents/${agents[0]}` : '/');
    } catch (cause) {
      const error = cause as ApiError;
      // An answer that came is final: the next try is a new request.
      if (error.status !== 0) key.current = '';
      const place = placeOf(error.field || fieldIn(error.message), known);
      if (place) showErrors({ [place]: besideField(error.message) });
      else setFailure(error.message);
    } finally {
      setBusy(false);
    }
  };

  const repositories = [...new Set(ids.value.map((id) => agentRow(id)?.value.repository ?? '').filter(Boolean))].slice(0, 20);
  const agents = Number(draft.agents) * draft.tasks.length;
  return (
    <form ref={form} class="create" onSubmit={(event) => void submit(event)} noValidate>
      <div class="view-head">
        <h1 tabIndex={-1}>New task</h1>
        <p class="view-sum">Each agent works on a branch of its own and ends in a pull request, or a branch.</p>
      </div>

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
            placeholder="the repository's default"
            error={errors['base']}
            mono
          />
        </div>
        <datalist id="repositories">
          {repositories.map((url) => (
            <option key={url} value={url}>
              {repositoryName(url)}
            </option>
          ))}
        </datalist>
      </section>

      <section class="panel form-part" aria-label="Tasks">
        <h2>Tasks</h2>
        {draft.tasks.map((task, index) => (
          <fieldset key={task.key} class="task-draft">
            <legend>Task {index + 1}</legend>
            {draft.tasks.length > 1 && (
              <button
                type="button"
                class="button button-quiet task-remove"
                aria-label={`Remove task ${index + 1}`}
                onClick={() => {
                  setErrors({});
                  set({ tasks: draft.tasks.filter((other) => other.key !== task.key) });
                }}
              >
                Remove
              </button>
            )}
            <TextField
              label="Title"
              name={`title-${index}`}
              value={task.title}
              onValue={(title) => setTask(index, { title }, `tasks[${index}].title`)}
              placeholder="Parse dates without a year"
              error={errors[`tasks[${index}].title`]}
            />
            <AreaField
              label="Description"
              name={`description-${index}`}
              optional
              rows={4}
              value={task.description}
              onValue={(description) => setTask(index, { description }, `tasks[${index}].description`)}
              placeholder="What is wrong or wanted, where to look, how to know that it works."
              error={errors[`tasks[${index}].description`]}
            />
          </fieldset>
        ))}
        <button
          type="button"
          class="button"
          disabled={draft.tasks.length >= TASKS_MAX}
          onClick={() => set({ tasks: [...draft.tasks, newTask()] })}
        >
          Add another task
        </button>
      </section>

      <section class="panel form-part" aria-label="Agents">
        <h2>Agents</h2>
        <div class="form-grid">
          <TextField
            label="Agents per task"
            name="agents_per_task"
            digits
            value={draft.agents}
            onValue={(value) => set({ agents: value }, 'agents_per_task')}
            hint="1 to 10, each on its own"
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
        </div>
        <div class="switches">
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
            hint="Where the repository is on GitHub and a token is set. Off: the branch is the result."
            checked={draft.pullRequest}
            onValue={(pullRequest) => set({ pullRequest })}
          />
        </div>
      </section>

      <details class="panel form-part">
        <summary>Limits, models and aider's arguments</summary>
        <div class="form-grid">
          <TextField
            label="Turns"
            name="limit_turns"
            digits
            optional
            value={draft.turns}
            onValue={(turns) => set({ turns }, 'limits.turns')}
            placeholder="as in Settings"
            error={errors['limits.turns']}
          />
          <TextField
            label="Minutes"
            name="limit_minutes"
            digits
            optional
            value={draft.minutes}
            onValue={(minutes) => set({ minutes }, 'limits.minutes')}
            placeholder="as in Settings"
            error={errors['limits.minutes']}
          />
          <TextField
            label="Dollars"
            name="limit_dollars"
            digits
            optional
            value={draft.dollars}
            onValue={(dollars) => set({ dollars }, 'limits.dollars')}
            placeholder="as in Settings"
            error={errors['limits.dollars']}
          />
        </div>
        <div class="form-grid form-grid-two">
          <TextField
            label="Agent model"
            name="agent_model"
            optional
            value={draft.agentModel}
            onValue={(agentModel) => set({ agentModel }, 'models.agent')}
            placeholder="as in Settings"
            error={errors['models.agent']}
            mono
          />
          <TextField
            label="Aider model"
            name="aider_model"
            optional
            value={draft.aiderModel}
            onValue={(aiderModel) => set({ aiderModel }, 'models.aider')}
            placeholder="as in Settings"
            error={errors['models.aider']}
            mono
          />
        </div>
        <TextField
          label="Extra aider arguments"
          name="aider_arguments"
          optional
          value={draft.aiderArguments}
          onValue={(aiderArguments) => set({ aiderArguments }, 'aider_arguments')}
          placeholder="--edit-format diff --map-tokens 2048"
          hint="split as a shell does; those that would break the connection to aider are refused"
          error={errors['aider_arguments']}
          mono
        />
      </details>

      {failure && (
        <div class="notice notice-bad" role="alert">
          {failure}
        </div>
      )}
      <div class="form-end">
        <button type="submit" class="button button-main" disabled={busy}>
          {busy ? 'Checking the repository…' : agents > 1 ? `Start ${agents} agents` : 'Start agent'}
        </button>
        <button type="button" class="button button-quiet" onClick={() => navigate('/')}>
          Cancel
        </button>
        {busy && <progress class="form-progress" aria-label="Checking the repository" />}
      </div>
    </form>
  );
}
