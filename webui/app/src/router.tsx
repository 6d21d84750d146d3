// Paths of the page: /, /new, /activity, /costs, /settings, /health, /tasks/3,
// /agents/7?tab=changes.
import { computed, signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';

export type Route =
  | { name: 'board' }
  | { name: 'new' }
  | { name: 'activity' }
  | { name: 'costs' }
  | { name: 'settings' }
  | { name: 'health' }
  | { name: 'agent'; id: number; tab: string }
  | { name: 'task'; id: number }
  | { name: 'unknown' };

const url = signal(location.pathname + location.search);

const PLAIN = ['new', 'activity', 'costs', 'settings', 'health'] as const;

function parse(path: string): Route {
  const { pathname, searchParams } = new URL(path, location.origin);
  if (pathname === '/' || pathname === '/sign-in') return { name: 'board' };
  const plain = PLAIN.find((name) => pathname === `/${name}`);
  if (plain) return { name: plain };
  const subject = /^\/(agents|tasks)\/([1-9]\d{0,14})$/.exec(pathname);
  if (subject?.[1] === 'tasks') return { name: 'task', id: Number(subject[2]) };
  if (subject) return { name: 'agent', id: Number(subject[2]), tab: searchParams.get('tab') ?? 'output' };
  return { name: 'unknown' };
}

export const route = computed(() => parse(url.value));
// What follows the "?" of the address.
export const query = computed(() => new URL(url.value, location.origin).searchParams);

export function navigate(to: string, replace = false): void {
  if (to === url.value) return;
  const moved = new URL(to, location.origin).pathname !== location.pathname;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  url.value = to;
  if (moved) {
    window.scrollTo(0, 0);
    // A reader of the screen starts at the new page's heading, or the field that has the focus.
    queueMicrotask(() => {
      const main = document.querySelector('main');
      if (!main?.contains(document.activeElement)) main?.querySelector<HTMLElement>('h1')?.focus();
    });
  }
}

window.addEventListener('popstate', () => (url.value = location.pathname + location.search));

interface LinkProps {
  to: string;
  current?: boolean;
  class?: string;
  title?: string;
  'aria-label'?: string;
  children?: ComponentChildren;
}

export function Link({ to, current, children, ...rest }: LinkProps) {
  const go = (event: MouseEvent): void => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={to} onClick={go} aria-current={current ? 'page' : undefined} {...rest}>
      {children}
    </a>
  );
}
