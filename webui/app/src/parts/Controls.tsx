// What a person can do with an agent. Only what its state allows is offered.
import { useState } from 'preact/hooks';
import { api, type ApiError, type Control } from '../api';
import { navigate } from '../router';
import type { Agent, State } from '../types';
import { Confirm } from './Confirm';

const ENDED: readonly State[] = ['done', 'failed', 'stopped'];

const CONTROLS: readonly { what: Control; label: string; title: string; when: (state: State) => boolean }[] = [
  { what: 'resume', label: 'Resume', title: 'Go on with the next turn', when: (s) => s === 'paused' },
  { what: 'interrupt', label: 'Interrupt', title: 'Cancel the turn under way', when: (s) => s === 'working' },
  { what: 'pause', label: 'Pause', title: 'No new turn until resumed', when: (s) => s === 'working' || s === 'waiting' || s === 'starting' || s === 'queued' },
  { what: 'finish', label: 'Finish now', title: 'End after this turn: test, push, pull request', when: (s) => s === 'working' || s === 'waiting' || s === 'paused' },
  { what: 'stop', label: 'Stop', title: 'End at once; the work so far is kept', when: (s) => !ENDED.includes(s) },
  { what: 'retry', label: 'Retry', title: 'Go on where it ended', when: (s) => s === 'failed' || s === 'stopped' || s === 'done' },
];

export function Controls({ agent }: { agent: Agent }) {
  const [busy, setBusy] = useState('');
  const [error, setError] = useState('');
  const [asking, setAsking] = useState(false);
  const act = async (name: string, what: () => Promise<unknown>): Promise<void> => {
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
  const remove = (): void => {
    setAsking(false);
    void act('delete', async () => {
      await api.remove(agent.id);
      navigate('/');
    });
  };
  return (
    <div class="controls">
      <div class="controls-row" role="group" aria-label="Controls">
        {CONTROLS.filter(({ when }) => when(agent.state)).map(({ what, label, title }) => (
          <button
            key={what}
            type="button"
            class="button"
            title={title}
            disabled={busy !== ''}
            onClick={() => void act(what, () => api.control(agent.id, what))}
          >
            {label}
          </button>
        ))}
        <button type="button" class="button button-danger-quiet" disabled={busy !== ''} onClick={() => setAsking(true)}>
          Delete
        </button>
      </div>
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      {asking && (
        <Confirm title={`Delete agent ${agent.id}?`} yes="Delete" onYes={remove} onNo={() => setAsking(false)}>
          It is stopped first. Its workspace, its history and a branch that was not pushed are gone for good.
        </Confirm>
      )}
    </div>
  );
}
