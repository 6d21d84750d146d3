// The create form's content: kept by the browser until it is sent, and made into a request.
import type { NewTasks } from './api';
import type { Draft } from './form';
import { keep, kept } from './kept';
import { newTask } from './tasklist';

export const fresh = (): Draft => ({
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

// What another version of the page kept may have other fields.
export function keptDraft(): Draft {
  const draft = fresh();
  const saved = kept('draft');
  if (typeof saved !== 'object' || saved === null) return draft;
  const from = saved as Record<string, unknown>;
  for (const name of Object.keys(draft) as (keyof Draft)[]) {
    if (name !== 'tasks' && typeof from[name] === typeof draft[name]) Object.assign(draft, { [name]: from[name] });
  }
  const tasks = (Array.isArray(from['tasks']) ? from['tasks'] : []) as { title?: unknown; description?: unknown }[];
  const good = tasks
    .filter((task) => task && typeof task.title === 'string' && typeof task.description === 'string')
    .map((task) => newTask(String(task.title), String(task.description)));
  return good.length ? { ...draft, tasks: good } : draft;
}

export const keepDraft = (draft: Draft | null): void => keep('draft', draft);

export const isBlank = (draft: Draft): boolean =>
  !draft.repository.trim() && draft.tasks.every(({ title, description }) => !title.trim() && !description.trim());

const given = <T,>(object: Record<string, T>): Record<string, T> | undefined =>
  Object.keys(object).length ? object : undefined;

export function requestOf(draft: Draft): NewTasks {
  const limits: Record<string, number> = {};
  if (draft.turns.trim()) limits['turns'] = Number(draft.turns);
  if (draft.minutes.trim()) limits['minutes'] = Number(draft.minutes);
  if (draft.dollars.trim()) limits['dollars'] = Number(draft.dollars);
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
