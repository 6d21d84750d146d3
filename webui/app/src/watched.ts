// What wants the news of its agents beyond the board's rows: the one view that is open.
import { signal } from '@preact/signals';
import type { Event } from './types';

export interface Watching {
  // In order, each id once; of all agents.
  events(events: readonly Event[]): void;
  // What is shown may have a gap.
  load(): Promise<void>;
}

export const watched = signal<Watching | null>(null);
