// A state: shape, word and colour, so that none of them alone carries it.
import type { State } from '../types';

const PATHS: Record<State, string> = {
  queued: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M8 5v3l2 1.5',
  starting: 'M8 2.5a5.5 5.5 0 1 1-5.5 5.5',
  working: 'M6 4.2v7.6L12 8z',
  waiting: 'M8 3v6M8 12v.6',
  paused: 'M5.8 4v8M10.2 4v8',
  finishing: 'M8 12.5v-9M4.5 7 8 3.5 11.5 7',
  done: 'M3.5 8.5 6.5 11.5 12.5 4.8',
  failed: 'M4.5 4.5l7 7M11.5 4.5l-7 7',
  stopped: 'M4.8 4.8h6.4v6.4H4.8z',
};

export const STATE_WORDS: Record<State, string> = {
  queued: 'Queued',
  starting: 'Starting',
  working: 'Working',
  waiting: 'Waiting for you',
  paused: 'Paused',
  finishing: 'Finishing',
  done: 'Done',
  failed: 'Failed',
  stopped: 'Stopped',
};

export function StateIcon({ state }: { state: State }) {
  return (
    <svg class={`state-icon state-icon-${state}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" focusable="false">
      <path d={PATHS[state]} />
    </svg>
  );
}

export function StateBadge({ state }: { state: State }) {
  return (
    <span class={`state state-${state}`} data-state={state}>
      <StateIcon state={state} />
      {STATE_WORDS[state]}
    </span>
  );
}
