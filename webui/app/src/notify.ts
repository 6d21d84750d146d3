// The number of waiting agents in the tab's title and icon, and notifications of the desktop
// for a person who asked for them.
import { effect, signal } from '@preact/signals';
import { plainLine } from './clean';
import { reasonOf } from './format';
import { keep, kept } from './kept';
import { navigate } from './router';
import { onState, waiting } from './store';
import { leads } from './stream';
import type { Agent } from './types';

const can = typeof Notification !== 'undefined';
export const notifying = signal(can && kept('notify') === true && Notification.permission === 'granted');
export const canNotify = (): boolean => can && Notification.permission !== 'denied';

// Only ever called by a click.
export async function notifyMe(on: boolean): Promise<boolean> {
  if (on && can && Notification.permission === 'default') await Notification.requestPermission();
  notifying.value = on && can && Notification.permission === 'granted';
  keep('notify', notifying.value);
  return notifying.value;
}

const WORDS: Partial<Record<Agent['state'], string>> = { waiting: 'waits for you', failed: 'has failed', done: 'is done' };

function tell(was: Agent, is: Agent): void {
  const word = WORDS[is.state];
  // One tab of the browser tells; the tag keeps a second from telling it again.
  if (!word || was.state === is.state || !notifying.value || !leads()) return;
  if (!document.hidden && is.state !== 'waiting') return;
  const said = new Notification(`#${is.id} ${word}`, {
    body: [plainLine(is.title), reasonOf(is)].filter(Boolean).join('\n').slice(0, 300),
    tag: `100x-${is.id}`,
  });
  said.onclick = () => {
    window.focus();
    navigate(`/agents/${is.id}`);
    said.close();
  };
}

// Drawn here: no file, no request.
export function iconOf(count: number): string {
  const badge = count
    ? `<circle cx="22" cy="10" r="10" fill="#e5484d"/><text x="22" y="${count > 9 ? 14 : 15}" font-family="system-ui,sans-serif" font-size="${
        count > 9 ? 11 : 14}" font-weight="700" fill="#fff" text-anchor="middle">${count > 99 ? '99' : count}</text>`
    : '';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#4053d6"/><path d="M10 10l12 12M22 10L10 22" stroke="#fff" stroke-width="4" stroke-linecap="round"/>${badge}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export function startNotifying(): void {
  onState(tell);
  effect(() => {
    const count = waiting.value;
    document.title = count ? `(${count}) 100x` : '100x';
    document.getElementById('icon')?.setAttribute('href', iconOf(count));
  });
}
