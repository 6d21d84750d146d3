// One stream of events for all tabs of a browser: the tab that holds the lock reads it and
// tells the others over a BroadcastChannel. Where a browser has neither (an insecure
// origin), each tab reads its own. The position survives every reconnect, so nothing is
// missed and nothing comes twice.
import { signal } from '@preact/signals';
import { session } from './api';
import { SseParser } from './sse';
import type { Event } from './types';

export type Connection = 'connecting' | 'live' | 'lost';
export const connection = signal<Connection>('connecting');

export interface Listener {
  // In order, each id once.
  events(events: Event[]): void;
  // What is shown may have a gap: load it afresh. Also called once at the start.
  resync(): void;
}

interface Raw {
  id: number;
  data: string;
}
type Word =
  | { type: 'events'; from: number; events: Raw[] }
  | { type: 'status'; live: boolean; at: number }
  | { type: 'resync' }
  | { type: 'ask' }
  | { type: 'session'; session: 'in' | 'out' };

// The server sends a comment every 15 s; after this long without a byte it is gone.
const SILENCE_MS = 40000;
const RETRY_MAX_MS = 10000;

let listener: Listener;
let channel: BroadcastChannel | null = null;
let last = 0;
let loaded = false;
let leading = false;
let wake: () => void = () => {};

// Whether this tab reads the stream for all tabs of the browser.
export const leads = (): boolean => leading;
let silence: ReturnType<typeof setTimeout> | undefined;

function tell(word: Word): void {
  channel?.postMessage(word);
}

function deliver(events: Raw[]): void {
  const fresh: Event[] = [];
  for (const raw of events) {
    if (raw.id <= last) continue;
    last = raw.id;
    fresh.push(JSON.parse(raw.data) as Event);
  }
  if (fresh.length) listener.events(fresh);
}

function setLive(live: boolean): void {
  connection.value = live ? 'live' : 'lost';
  if (live && !loaded) {
    loaded = true;
    listener.resync();
  }
}

function resync(): void {
  loaded = true;
  listener.resync();
}

async function readOnce(): Promise<number> {
  const end = new AbortController();
  const hear = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => end.abort(), SILENCE_MS);
  };
  hear();
  try {
    const response = await fetch(`/api/v1/events${last ? `?after=${last}` : ''}`, {
      headers: { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': String(last) } : {}) },
      credentials: 'same-origin',
      cache: 'no-store',
      signal: end.signal,
    });
    if (response.status === 401) {
      session.value = 'out';
      tell({ type: 'session', session: 'out' });
      return 0;
    }
    if (!response.ok || !response.body) {
      return 1000 * Math.min(30, Number(response.headers.get('Retry-After')) || 1);
    }
    // Without a position the stream began at the present: what happened while it was
    // away is only in the store.
    if (!last && loaded) {
      resync();
      tell({ type: 'resync' });
    }
    setLive(true);
    tell({ type: 'status', live: true, at: last });

    let batch: Raw[] = [];
    const parser = new SseParser(({ id, data }) => {
      const number = Number(id);
      if (number > 0) batch.push({ id: number, data });
    });
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return parser.retry;
      hear();
      parser.push(decoder.decode(value, { stream: true }));
      if (batch.length) {
        const events = batch;
        batch = [];
        tell({ type: 'events', from: last, events });
        deliver(events);
      } else {
        tell({ type: 'status', live: true, at: last });
      }
    }
  } finally {
    clearTimeout(silence);
    end.abort();
  }
}

// Reads for as long as the page lives.
async function lead(): Promise<never> {
  leading = true;
  let failures = 0;
  for (;;) {
    let pause = 1000;
    const began = Date.now();
    try {
      pause = await readOnce();
    } catch {
      // Network errors carry nothing to tell beyond "away"; the banner says that.
    }
    failures = Date.now() - began > 5000 ? 0 : failures + 1;
    if (session.value === 'out') {
      await new Promise<void>((resolve) => (wake = resolve));
      failures = 0;
      continue;
    }
    setLive(false);
    tell({ type: 'status', live: false, at: last });
    const backoff = Math.min(RETRY_MAX_MS, pause * 2 ** Math.min(failures, 4)) * (0.5 + Math.random() / 2);
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, failures <= 1 ? Math.min(250, pause) : backoff);
    });
  }
}

function hearLeader(): void {
  clearTimeout(silence);
  silence = setTimeout(() => setLive(false), SILENCE_MS);
}

function follow({ data: word }: MessageEvent<Word>): void {
  if (word.type === 'session') {
    if (session.value !== word.session) session.value = word.session;
    wake();
    return;
  }
  if (leading) {
    if (word.type === 'ask') tell({ type: 'status', live: connection.value === 'live', at: last });
    return;
  }
  if (word.type === 'ask') return;
  hearLeader();
  if (word.type === 'resync') {
    resync();
  } else if (word.type === 'status') {
    setLive(word.live);
    if (!last) last = word.at;
  } else {
    // A tab that slept, or a leader that began later than we stopped: there is a gap.
    const gap = last > 0 && word.from > last;
    deliver(word.events);
    if (gap) resync();
    else setLive(true);
  }
}

// Call once. Signing in (session.value = 'in') starts a stream that waits for it.
export function startStream(to: Listener): void {
  listener = to;
  session.subscribe((value) => {
    if (value === 'in') {
      tell({ type: 'session', session: 'in' });
      wake();
    }
  });
  window.addEventListener('online', () => wake());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && connection.value === 'lost') wake();
  });
  if (typeof BroadcastChannel === 'undefined' || !navigator.locks) {
    void lead();
    return;
  }
  channel = new BroadcastChannel('100x-events');
  channel.onmessage = follow;
  tell({ type: 'ask' });
  void navigator.locks.request('100x-stream', lead);
}
