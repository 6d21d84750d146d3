// A URL that an agent or a server gave: a link only if it is http(s), else its text.
import type { ComponentChildren } from 'preact';
import { httpUrl } from '../format';

export function ExternalLink({ url, children, class: name }: { url: string; children: ComponentChildren; class?: string }) {
  const safe = httpUrl(url);
  if (!safe) return <span class={name}>{url}</span>;
  return (
    <a class={name} href={safe} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}
