// The colours of the style sheet for what draws by itself, as #rrggbb, and when they change.

export type Colors = (name: string) => string;

// Resolved by the browser: a token may be a function of the theme.
export function colors(): Colors {
  const probe = document.createElement('span');
  probe.hidden = true;
  // Where colours are forced it would tell the forced one for each.
  probe.style.setProperty('forced-color-adjust', 'none');
  document.body.append(probe);
  const known = new Map<string, string>();
  const read = (name: string): string => {
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe).color.match(/[\d.]+/g)?.map(Number) ?? [];
    return `#${parts.slice(0, 3).map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
  };
  for (const name of ['surface', 'text', 'text-soft', 'text-faint', 'line', 'line-strong', 'accent', 'accent-soft', 'good', 'bad', 'warn', 'busy', 'late']) {
    known.set(name, read(name));
  }
  probe.remove();
  return (name) => known.get(name) ?? '#808080';
}

export const isDark = (made: Colors): boolean => parseInt(made('surface').slice(1, 3), 16) < 128;

// Calls when the theme is another; returns how to stop it.
export function onColors(change: () => void): () => void {
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const contrast = matchMedia('(prefers-contrast: more)');
  const chosen = new MutationObserver(change);
  for (const media of [scheme, contrast]) media.addEventListener('change', change);
  chosen.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  return () => {
    for (const media of [scheme, contrast]) media.removeEventListener('change', change);
    chosen.disconnect();
  };
}
