// Keys of the page: single ones, and sequences that begin with g. Not while a person types
// or a dialog is open. What is registered is also what the help shows.
import { effect, signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';
import { keep, kept } from './kept';

export interface Binding {
  // "j", "?", "g b", "Escape", "ctrl+k"
  keys: string;
  label: string;
  group: string;
  // False: not meant here, the browser goes on with the key.
  run: (event: KeyboardEvent) => boolean | void;
}

const SEQUENCE_MS = 1500;

export const singleKeys = signal(kept('keys') !== false);
effect(() => keep('keys', singleKeys.value));

const layers: (readonly Binding[])[] = [];
// The beginning of a sequence, shown while its end is waited for.
export const begun = signal('');
let timer: ReturnType<typeof setTimeout> | undefined;

export const bindings = (): readonly Binding[] => layers.flat();

// The newest layer is asked first.
export function addKeys(layer: readonly Binding[]): () => void {
  layers.push(layer);
  return () => layers.splice(layers.indexOf(layer), 1);
}

export function useKeys(layer: readonly Binding[]): void {
  // Before it is drawn: who sees a view may use its keys.
  useLayoutEffect(() => addKeys(layer), [layer]);
}

export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches('textarea, select')) return true;
  return target.matches('input:not([type=checkbox], [type=radio], [type=button])') || target.closest('.xterm') !== null;
}

function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && /^([a-z]|\w{2,})$/.test(key) ? 'shift+' : '';
  return (event.ctrlKey || event.metaKey ? 'ctrl+' : '') + (event.altKey ? 'alt+' : '') + shift + key;
}

function forget(): void {
  clearTimeout(timer);
  begun.value = '';
}

export function press(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || ['Shift', 'Control', 'Alt', 'Meta'].includes(event.key)) return;
  const name = nameOf(event);
  const plain = !name.startsWith('ctrl+') && !name.startsWith('alt+');
  const whole = begun.value ? `${begun.value} ${name}` : name;
  forget();
  if (plain && (typing(event.target) || document.querySelector('dialog[open], :popover-open'))) return;
  if (plain && name.length === 1 && !singleKeys.value) return;
  for (const layer of [...layers].reverse()) {
    for (const binding of layer) {
      if (binding.keys !== whole || binding.run(event) === false) continue;
      event.preventDefault();
      return;
    }
  }
  if (plain && layers.some((layer) => layer.some(({ keys }) => keys.startsWith(`${name} `)))) {
    begun.value = name;
    timer = setTimeout(forget, SEQUENCE_MS);
    event.preventDefault();
  }
}
