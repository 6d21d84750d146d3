// Paths of the page: /, /new, /settings, /agents/7?tab=changes.
import { computed, signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';

export type Route =
  | { name: 'agents' }
  | { name: 'new' }
  | { name: 'settings' }
  | { name: 'agent'; id: number; tab: string }
  | { name: 'unknown' };

const url = signal(location.pathname + location.search);

function parse(path: string): Route {
  const { pathname, searchParams } = new URL(path, location.origin);
  if (pathname === '/' || pathname === '/sign-in') return { name: 'agents' };
  if (pathname === '/new') return { name: 'new' };
  if (pathname === '/settings') return { name: 'settings' };
  const agent = /^\/agents\/([1-9]\d{0,14})$/.exec(pathname);
  if (agent) return { name: 'agent', id: Number(agent[1]), tab: searchParams.get('tab') ?? 'output' };
  return { name: 'unknown' };
}

export const route = computed(() => parse(url.value));

export function navigate(to: string, replace = false): void {
  if (to === url.value) return;
  const moved = new URL(to, location.origin).pathname !== location.pathname;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  url.value = to;
  if (moved) {
    window.scrollTo(0, 0);
    // A reader of the screen starts at the new page's heading.
    queueMicrotask(() => document.querySelector<HTMLElement>('main h1')?.focus());
  }
}

window.addEventListener('popstate', () => (url.value = location.pathname + location.search));

interface LinkProps {
  to: string;
  current?: boolean;
  class?: string;
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
