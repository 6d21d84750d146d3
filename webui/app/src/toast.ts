// Short messages at the edge of the page, with a way back where there is one.
import { signal } from '@preact/signals';

export interface Toast {
  key: number;
  text: string;
  bad: boolean;
  undo?: () => void;
  // What else can be done about it: a button of its own.
  other?: { label: string; run: () => void };
}

export const TOAST_MS = 8000;
const TOASTS_MAX = 4;

export const toasts = signal<readonly Toast[]>([]);

let next = 0;
const timers = new Map<number, ReturnType<typeof setTimeout>>();

export function dismiss(key: number): void {
  clearTimeout(timers.get(key));
  timers.delete(key);
  toasts.value = toasts.value.filter((toast) => toast.key !== key);
}

// Looked at or focused: it stays until it is left.
export function hold(key: number): void {
  clearTimeout(timers.get(key));
}

export function release(key: number): void {
  clearTimeout(timers.get(key));
  timers.set(key, setTimeout(() => dismiss(key), TOAST_MS));
}

export function toast(text: string, options: Partial<Pick<Toast, 'bad' | 'undo' | 'other'>> = {}): number {
  const key = ++next;
  toasts.value = [...toasts.value, { bad: false, ...options, key, text }];
  release(key);
  for (const old of toasts.value.slice(0, -TOASTS_MAX)) dismiss(old.key);
  return key;
}

export function undo(toast: Toast): void {
  dismiss(toast.key);
  toast.undo?.();
}

// The newest that has a way back.
export function undoLast(): boolean {
  const last = [...toasts.value].reverse().find((one) => one.undo);
  if (last) undo(last);
  return last !== undefined;
}
