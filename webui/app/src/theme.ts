// Light, dark, as the system has it, or with high contrast; kept by the browser.
import { effect, signal } from '@preact/signals';
import { keep, kept } from './kept';

export const THEMES = [
  ['system', 'System'],
  ['light', 'Light'],
  ['dark', 'Dark'],
  ['contrast', 'High contrast'],
] as const;
export type Theme = (typeof THEMES)[number][0];

const known = (value: unknown): value is Theme => THEMES.some(([name]) => name === value);
const saved = kept('theme');

export const theme = signal<Theme>(known(saved) ? saved : 'system');

effect(() => {
  document.documentElement.dataset['theme'] = theme.value;
  keep('theme', theme.value);
});

// The other tabs follow.
window.addEventListener('storage', ({ key, newValue }) => {
  if (key !== '100x-theme' || newValue === null) return;
  const value: unknown = JSON.parse(newValue);
  if (known(value)) theme.value = value;
});
