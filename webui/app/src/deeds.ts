// What can be done to an agent: in which states, under which name, and what takes it back. Pure.
import type { Control } from './api';
import type { Agent, State } from './types';

export type Action = Control | 'archive' | 'unarchive' | 'delete';

const ENDED: readonly State[] = ['done', 'failed', 'stopped'];
export const hasEnded = (agent: Agent): boolean => ENDED.includes(agent.state);

interface Deed {
  label: string;
  title: string;
  // "2 agents paused"
  done: string;
  when: (agent: Agent) => boolean;
  back?: Action;
}

export const DEEDS: Record<Action, Deed> = {
  resume: { label: 'Resume', title: 'Go on with the next turn', done: 'resumed', when: (a) => a.state === 'paused', back: 'pause' },
  interrupt: { label: 'Interrupt', title: 'Cancel the turn under way', done: 'interrupted', when: (a) => a.state === 'working' },
  pause: {
    label: 'Pause',
    title: 'No new turn until resumed',
    done: 'paused',
    when: (a) => ['working', 'waiting', 'starting', 'queued'].includes(a.state),
    back: 'resume',
  },
  finish: {
    label: 'Finish now',
    title: 'End after this turn: test, push, pull request',
    done: 'told to finish',
    when: (a) => ['working', 'waiting', 'paused'].includes(a.state),
  },
  stop: { label: 'Stop', title: 'End at once; the work so far is kept', done: 'stopped', when: (a) => !hasEnded(a), back: 'retry' },
  retry: { label: 'Retry', title: 'Go on where it ended', done: 'retried', when: (a) => hasEnded(a) && !a.archived, back: 'stop' },
  reclaim: {
    label: 'Reclaim workspace',
    title: 'Remove its workspace to have its room back; the work is saved first',
    done: 'reclaimed',
    when: (a) => hasEnded(a) && !a.reclaimed_at,
    back: 'restore',
  },
  restore: {
    label: 'Restore workspace',
    title: 'Make its workspace again from the saved work',
    done: 'restored',
    when: (a) => Boolean(a.reclaimed_at),
    back: 'reclaim',
  },
  archive: { label: 'Archive', title: 'Off the board; everything is kept', done: 'archived', when: (a) => hasEnded(a) && !a.archived, back: 'unarchive' },
  unarchive: { label: 'Unarchive', title: 'Back on the board', done: 'back on the board', when: (a) => a.archived === true, back: 'archive' },
  delete: { label: 'Delete', title: 'Stop it, and remove its workspace and history', done: 'deleted', when: () => true },
};
