// The workspace of an agent that has ended: reclaimed or not, and the way there and back.
import { useSignal } from '@preact/signals';
import { act } from '../actions';
import { now } from '../clock';
import { plainLine } from '../clean';
import { DEEDS, hasEnded } from '../deeds';
import { age, dateTime } from '../format';
import { agentRow } from '../store';
import type { Agent } from '../types';

const DOING = { reclaim: 'Saving its work…', restore: 'Restoring…' } as const;

// Nothing where it cannot be done.
export function WorkspaceButton({ agent, action }: { agent: Agent; action: 'reclaim' | 'restore' }) {
  const busy = useSignal(false);
  if (!DEEDS[action].when(agent)) return null;
  const run = async (): Promise<void> => {
    busy.value = true;
    // An archived one may not be among those that the board has.
    await act(action, [agent.id], !agentRow(agent.id));
    busy.value = false;
  };
  return (
    <button
      type="button"
      class="button button-small"
      title={DEEDS[action].title}
      disabled={busy.value}
      onClick={() => void run()}
    >
      {busy.value ? DOING[action] : DEEDS[action].label}
    </button>
  );
}

export function Reclaimed({ agent }: { agent: Agent }) {
  if (!agent.reclaimed_at || !hasEnded(agent)) return null;
  return (
    <div class="notice notice-plain notice-act" role="status">
      <span>
        The workspace was reclaimed <span title={dateTime(agent.reclaimed_at)}>{age(now.value - agent.reclaimed_at)} ago</span>
        {agent.saved ? (
          <>
            ; its work is saved at <code>{plainLine(agent.saved)}</code>.
          </>
        ) : (
          '; there was no work to save.'
        )}
      </span>
      <WorkspaceButton agent={agent} action="restore" />
    </div>
  );
}
