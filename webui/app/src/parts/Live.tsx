// Small things that change often: each redraws its own text and nothing around it.
import { useComputed, type ReadonlySignal } from '@preact/signals';
import { now } from '../clock';
import { age } from '../format';
import type { Pulse } from '../pulse';
import type { Progress } from '../store';
import { plainLine } from '../clean';

// "4m", from a moment on; a signal, so that the moment may change.
export function Age({ since }: { since: ReadonlySignal<number> }) {
  const words = useComputed(() => age(now.value - since.value));
  return <>{words}</>;
}

export function Spark({ pulse, live }: { pulse: Pulse; live: boolean }) {
  const path = useComputed(() => {
    void pulse.filled.value;
    return pulse.path(now.value);
  });
  return (
    <svg class={live ? 'spark spark-live' : 'spark'} viewBox="0 0 72 18" width="72" height="18" aria-hidden="true" focusable="false">
      <path d={path} />
    </svg>
  );
}

export const STEPS: Record<string, string> = {
  mirror: 'Fetching the repository',
  clone: 'Making the workspace',
  push: 'Pushing the branch',
  start: 'Starting the agent',
};

export function StepBar({ progress }: { progress: Progress }) {
  const name = STEPS[progress.what] ?? plainLine(progress.what);
  const known = progress.total > 0;
  return (
    <span class="step">
      {known ? <progress max={progress.total} value={progress.done} aria-label={name} /> : <progress aria-label={name} />}
      <span class="step-words">
        {name}
        {known && ` ${Math.floor((100 * progress.done) / progress.total)} %`}
      </span>
    </span>
  );
}
