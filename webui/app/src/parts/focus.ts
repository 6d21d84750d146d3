// The focus in the list of agents. A row may not be drawn yet, or be just moving to another
// section: what keys mean goes by the row that is to have the focus, at once.
import type { Signal } from '@preact/signals';
import { typing } from '../keys';

// The pieces of the list, and whether each is drawn.
export const pieces = new WeakMap<Element, Signal<boolean>>();

// Drawn a microtask after a key; what is drawn later than that is looked for in frames.
const MICROTASKS = 3;
const FRAMES = 10;

const linkOf = (id: number): HTMLElement | null => document.querySelector<HTMLElement>(`[data-agent="${id}"] .row-link`);

// The row that the focus is on its way to.
let wanted: number | undefined;
// Who had the focus last, for when nothing has it.
let last: number | undefined;
addEventListener('focusin', () => {
  wanted = undefined;
  last = focusedRow() ?? last;
});
export const lastRow = (): number | undefined => (document.activeElement === document.body ? last : undefined);

function seek(tries: number): void {
  if (wanted === undefined) return;
  const link = linkOf(wanted);
  if (link) {
    link.focus({ preventScroll: true });
    link.closest('.row')?.scrollIntoView({ block: 'nearest' });
    return;
  }
  const piece = document.querySelector(`[data-ids*=",${wanted},"]`);
  const drawn = piece && pieces.get(piece);
  if (drawn) drawn.value = true;
  if (tries > FRAMES) queueMicrotask(() => seek(tries - 1));
  else if (tries) requestAnimationFrame(() => seek(tries - 1));
  else wanted = undefined;
}

// Puts the focus on an agent's row, wherever it is in its list.
export function focusRow(id: number): void {
  wanted = id;
  const { activeElement } = document;
  if (activeElement instanceof HTMLElement && typing(activeElement)) activeElement.blur();
  seek(MICROTASKS + FRAMES);
}

// The focused row leaves its place: the focus goes where it comes up again.
export function followRow(id: number): void {
  wanted = id;
  queueMicrotask(() => seek(MICROTASKS));
}

export function focusedRow(): number | undefined {
  if (wanted !== undefined) return wanted;
  const id = document.activeElement?.closest('[data-agent]')?.getAttribute('data-agent');
  return id ? Number(id) : undefined;
}
