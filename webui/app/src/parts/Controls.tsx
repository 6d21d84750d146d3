// What a person can do with an agent. What its state does not allow stays in its place,
// and says why.
import { useState } from 'preact/hooks';
import { act as actLater } from '../actions';
import { api, type ApiError, type Control } from '../api';
import { hasEnded } from '../deeds';
import { navigate } from '../router';
import { agentRow } from '../store';
import type { Agent } from '../types';

type What = Exclude<Control, 'reclaim' | 'restore'> | 'archive' | 'unarchive' | 'delete';

interface Deed {
  what: What;
  label: string;
  title: string;
  key?: string;
}

// Why it cannot be done now; "": it can.
function whyNot(what: What, agent: Agent): string {
  const { state } = agent;
  if (what === 'delete' || what === 'unarchive') return '';
  if (what === 'archive') return hasEnded(agent) ? '' : 'only an agent that has ended can be archived';
  if (what === 'retry') return hasEnded(agent) ? '' : 'it has not ended';
  if (hasEnded(agent)) return 'it has ended';
  if (what === 'stop') return '';
  if (state === 'finishing') return 'it is finishing already';
  if (what === 'interrupt') return state === 'working' ? '' : 'no turn is under way';
  if (what === 'resume') return state === 'paused' ? '' : 'it is not paused';
  if (what === 'pause') return state === 'paused' ? 'it is paused already' : '';
  return ['working', 'waiting', 'paused'].includes(state) ? '' : 'it has not begun';
}

const deeds = (agent: Agent): Deed[] => [
  { what: 'interrupt', label: 'Interrupt', title: 'Cancel the turn under way' },
  agent.state === 'paused'
    ? { what: 'resume', label: 'Resume', title: 'Go on with the next turn', key: 'p' }
    : { what: 'pause', label: 'Pause', title: 'No new turn until resumed', key: 'p' },
  { what: 'finish', label: 'Finish now', title: 'End after this turn: test, push, pull request' },
  hasEnded(agent)
    ? { what: 'retry', label: 'Retry', title: 'Go on where it ended' }
    : { what: 'stop', label: 'Stop', title: 'End at once; the work so far is kept' },
  agent.archived
    ? { what: 'unarchive', label: 'Unarchive', title: 'Back on the board', key: 'e' }
    : { what: 'archive', label: 'Archive', title: 'Off the board; everything is kept', key: 'e' },
  { what: 'delete', label: 'Delete', title: 'Stop it and remove its workspace and history' },
];

export function Controls({ agent }: { agent: Agent }) {
  const [busy, setBusy] = useState('');
  const [error, setError] = useState('');
  const act = async (name: What, what: () => Promise<unknown>): Promise<void> => {
    setBusy(name);
    setError('');
    try {
      await what();
    } catch (cause) {
      setError((cause as ApiError).message);
    } finally {
      setBusy('');
    }
  };
  const start = (what: What): void => {
    if (busy || whyNot(what, agent)) return;
    if (what === 'delete') remove();
    else if (what === 'archive' || what === 'unarchive') void act(what, () => api.archive(agent.id, what === 'archive'));
    else void act(what, () => api.control(agent.id, what));
  };
  // What the board has goes with a moment to take it back.
  const remove = (): void => {
    if (agentRow(agent.id)) {
      void actLater('delete', [agent.id]);
      navigate('/');
      return;
    }
    void act('delete', async () => {
      await api.remove(agent.id);
      navigate('/');
    });
  };
  const shown = deeds(agent);
  return (
    <div class="controls">
      <div class="controls-row" role="group" aria-label="Controls">
        {shown.map(({ what, label, title, key }) => {
          const why = whyNot(what, agent);
          return (
            <button
              key={what}
              type="button"
              class={what === 'delete' ? 'button button-danger-quiet' : 'button'}
              title={`${title}${why ? ` – not now: ${why}` : key ? `  (${key})` : ''}`}
              aria-disabled={why || busy ? 'true' : undefined}
              onClick={() => start(what)}
            >
              {label}
              {why && <span class="hidden">, not now: {why}</span>}
            </button>
          );
        })}
      </div>
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}
