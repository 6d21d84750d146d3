// Keys of the page: single ones, and sequences that begin with g. Not while a person types
// or a dialog is open. What is registered is also what the help shows.
//
// What a key leads to is there before the next key: views and dialogs are drawn in a
// microtask after it, and nothing that another key needs (a focus, an open dialog, a layer
// of keys) may wait for a frame or an event of the browser's.
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

// Dialogs that are open, the newest last, each with how it is closed.
const dialogs: (() => void)[] = [];

export function openDialog(close: () => void): () => void {
  dialogs.push(close);
  return () => dialogs.splice(dialogs.indexOf(close), 1);
}

export const dialogIsOpen = (): boolean => dialogs.length > 0;

// Keys that came while the code of the view they are meant for was under way.
let held: KeyboardEvent[] | null = null;
const HELD_MAX = 200;

// Returns what lets them act: each after what the one before led to is drawn, so between
// microtasks; from where a field has the focus, they are what is typed.
export function holdKeys(): () => Promise<void> {
  const mine: KeyboardEvent[] = (held = [...(held ?? [])]);
  let going = false;
  return async () => {
    if (going) return;
    going = true;
    while (held === mine) {
      const event = mine.shift();
      if (!event) held = null;
      else if (typing(document.activeElement)) document.execCommand('insertText', false, event.key);
      else run(event);
      await Promise.resolve().then(() => {});
    }
  };
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
  if (held && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !dialogIsOpen()) {
    if (held.length < HELD_MAX) held.push(event);
    event.preventDefault();
    return;
  }
  run(event);
}

function run(event: KeyboardEvent): void {
  const name = nameOf(event);
  const plain = !name.startsWith('ctrl+') && !name.startsWith('alt+');
  const whole = begun.value ? `${begun.value} ${name}` : name;
  forget();
  if (name === 'Escape' && dialogIsOpen()) {
    event.preventDefault();
    dialogs.at(-1)?.();
    return;
  }
  if (plain && (typing(event.target) || dialogIsOpen() || document.querySelector(':popover-open'))) return;
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
