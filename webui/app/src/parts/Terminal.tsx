// The agent's output as it came, in a terminal: the last lines, then live.
import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { colors, isDark, onColors } from '../colors';
import { useKeys } from '../keys';
import { keep, kept } from '../kept';
import { lastLines, LINES_FIRST, Output, Writer } from '../raw';
import { openScreen, type Screen } from '../terminal';
import type { Event } from '../types';
import type { Watch } from '../watch';
import { Confirm } from './Confirm';

function themeOf(): Record<string, string> {
  const color = colors();
  const dark = isDark(color);
  return {
    background: color('surface'),
    foreground: color('text'),
    cursor: color('surface'),
    selectionBackground: color('accent-soft'),
    selectionInactiveBackground: color('accent-soft'),
    red: color('bad'),
    brightRed: color('bad'),
    green: color('good'),
    brightGreen: color('good'),
    yellow: color('warn'),
    brightYellow: color('warn'),
    blue: color('busy'),
    brightBlue: color('accent'),
    magenta: color('late'),
    brightMagenta: color('late'),
    cyan: dark ? '#6fd3dd' : '#0b6b77',
    brightCyan: dark ? '#8be4ec' : '#0b6b77',
    black: dark ? '#565f6b' : '#1a1f26',
    white: dark ? '#e7ebf0' : '#66717e',
    brightBlack: color('text-faint'),
    brightWhite: color('text'),
    scrollbarSliderBackground: color('line-strong'),
    scrollbarSliderHoverBackground: color('text-faint'),
    scrollbarSliderActiveBackground: color('text-faint'),
  };
}

export function TerminalView({ watch }: { watch: Watch }) {
  const place = useRef<HTMLDivElement>(null);
  const screen = useRef<Screen | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const output = useRef<Output | null>(null);
  const writer = useRef(new Writer());
  const loading = useSignal(true);
  const earlier = useSignal(false);
  const detached = useSignal(false);
  const failed = useSignal(false);
  const link = useSignal('');
  const found = useSignal<boolean | null>(null);
  const readable = useSignal(kept('terminal-readable') === true);

  const draw = (events: readonly Event[], max: number): void => {
    const to = screen.current;
    if (!to) return;
    writer.current = new Writer();
    to.clear();
    const pieces = events.map((event) => writer.current.write(event));
    for (const piece of lastLines(pieces, max)) to.write(piece);
    earlier.value = output.current?.earlier === true;
    detached.value = output.current?.detached === true;
  };
  const load = async (): Promise<void> => {
    loading.value = true;
    failed.value = false;
    try {
      const events = await output.current?.load();
      if (events) draw(events, LINES_FIRST);
    } catch {
      failed.value = true;
    } finally {
      loading.value = false;
    }
  };
  const loadEarlier = async (): Promise<void> => {
    if (loading.value) return;
    loading.value = true;
    try {
      const events = await output.current?.loadEarlier();
      if (events) {
        draw(events, Infinity);
        setTimeout(() => screen.current?.top(), 50);
      }
    } catch {
      failed.value = true;
    } finally {
      loading.value = false;
    }
  };

  useEffect(() => {
    if (!place.current) return;
    const mine = openScreen(place.current, {
      theme: themeOf(),
      readable: readable.peek(),
      onLink: (url) => (link.value = url),
      // Drawn afresh from the newest part: the rest is in the store.
      onFlood: () => void setTimeout(() => void load(), 0),
    });
    screen.current = mine;
    output.current = new Output(watch.id);
    const stop = output.current.follow(watch, (event) => mine.write(writer.current.write(event)));
    const stopColors = onColors(() => mine.theme(themeOf()));
    return () => {
      stop();
      stopColors();
      mine.close();
      screen.current = null;
    };
  }, [watch]);
  // At first, and whenever what was shown may have a gap.
  const { loaded } = watch;
  useEffect(() => void load(), [watch, loaded.value]);

  const keys = useMemo(
    () => [
      {
        keys: '/',
        label: 'Search in the terminal',
        group: 'Terminal',
        run: () => {
          input.current?.focus();
          input.current?.select();
        },
      },
    ],
    [],
  );
  useKeys(keys);
  const find = (back: boolean): void => {
    const text = input.current?.value ?? '';
    found.value = text ? screen.current?.find(text, back) === true : null;
  };
  return (
    <div class="terminal-view panel">
      <div class="story-bar" role="search">
        <input
          ref={input}
          type="search"
          class="find"
          aria-label="Search in the terminal"
          placeholder="Search what is shown  /"
          autoComplete="off"
          spellcheck={false}
          onInput={() => find(true)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') find(!event.shiftKey);
            else if (event.key === 'Escape') event.currentTarget.blur();
            else return;
            event.preventDefault();
          }}
        />
        <span class="find-count" role="status">
          {found.value === false ? 'nothing found' : ''}
        </span>
        <label class="terminal-readable">
          <input
            type="checkbox"
            checked={readable.value}
            onChange={(event) => {
              readable.value = event.currentTarget.checked;
              keep('terminal-readable', readable.value);
              screen.current?.readable(readable.value);
            }}
          />
          Screen reader
        </label>
        {(earlier.value || loading.value) && (
          <button type="button" class="button button-quiet button-small" disabled={loading.value} onClick={() => void loadEarlier()}>
            {loading.value ? 'Loading…' : 'Load earlier'}
          </button>
        )}
        {detached.value && (
          <button type="button" class="button button-small" onClick={() => void load()}>
            ↓ To the end
          </button>
        )}
      </div>
      {failed.value && (
        <p class="notice notice-bad" role="alert">
          The output could not be loaded.{' '}
          <button type="button" class="button" onClick={() => void load()}>
            Try again
          </button>
        </p>
      )}
      <div ref={place} class="terminal-place" />
      {link.value && (
        <Confirm
          title="Open this address?"
          yes="Open in a new tab"
          onYes={() => {
            window.open(link.value, '_blank', 'noopener,noreferrer');
            link.value = '';
          }}
          onNo={() => (link.value = '')}
        >
          <p>An agent wrote it. It leads outside of this page.</p>
          <p class="mono link-shown">{link.value}</p>
        </Confirm>
      )}
    </div>
  );
}
