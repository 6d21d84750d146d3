// The live log: follows its end until a person scrolls up, and again when they come back.
import { useSignal, useSignalEffect, type Signal } from '@preact/signals';
import { Component } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Entry, FactEntry, TextEntry } from '../log';
import type { Watch } from '../watch';
import { Fact } from './Fact';

// Closer to the end than this counts as being there.
const NEAR_END_PX = 48;

const CHANNELS: Record<string, string> = { thought: 'thought', tool: 'output', log: 'notice', stderr: 'stderr' };

function FactRow({ event }: { event: FactEntry['event'] }) {
  return <Fact event={event.value} />;
}

function TextRow({ channel, text }: { channel: string; text: Signal<string> }) {
  const label = CHANNELS[channel];
  return (
    <div class={`said said-${label ? channel : 'agent'}`}>
      {label && <span class="said-label">{label}</span>}
      {/* The signal is the text node: a new piece touches nothing else. */}
      <pre>{text}</pre>
    </div>
  );
}

// An entry never changes its identity, only its own signals: it is drawn once.
class Row extends Component<{ entry: Entry }> {
  override shouldComponentUpdate(next: { entry: Entry }): boolean {
    return next.entry !== this.props.entry;
  }

  render({ entry }: { entry: TextEntry | FactEntry }) {
    return entry.type === 'text' ? <TextRow channel={entry.channel} text={entry.text} /> : <FactRow event={entry.event} />;
  }
}

export function LogView({ watch }: { watch: Watch }) {
  const box = useRef<HTMLDivElement>(null);
  const following = useSignal(true);
  const { log } = watch;

  // Where following put the box. Text that comes meanwhile moves the end, not the box:
  // only a box above this place was moved by a person.
  const put = useRef(0);
  const toEnd = (): void => {
    const { current } = box;
    if (!current || !following.peek()) return;
    current.scrollTop = current.scrollHeight;
    put.current = current.scrollTop;
  };
  // Grown text, new or dropped entries, another size of the window.
  useSignalEffect(() => {
    void log.version.value;
    toEnd();
  });
  useLayoutEffect(toEnd);
  useEffect(() => {
    const sizes = new ResizeObserver(toEnd);
    if (box.current) sizes.observe(box.current);
    return () => sizes.disconnect();
  }, []);

  const scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = box.current as HTMLDivElement;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (near) {
      if (following.value) return;
      following.value = true;
      log.settle();
    } else if (following.value && scrollTop < put.current - 1) {
      following.value = false;
      log.reading = true;
    }
  };
  const earlier = async (): Promise<void> => {
    const { current } = box;
    if (!current) return;
    const fromEnd = current.scrollHeight - current.scrollTop;
    following.value = false;
    await watch.loadEarlier();
    requestAnimationFrame(() => (current.scrollTop = current.scrollHeight - fromEnd));
  };

  const entries = log.entries.value;
  return (
    <div class="log panel">
      <div
        ref={box}
        class={following.value ? 'log-box log-box-following' : 'log-box'}
        tabIndex={0}
        role="log"
        aria-label="Output"
        aria-live="off"
        onScroll={scrolled}
      >
        {log.earlier.value && (
          <button type="button" class="button log-earlier" disabled={watch.loadingEarlier.value} onClick={() => void earlier()}>
            {watch.loadingEarlier.value ? 'Loading…' : 'Load earlier'}
          </button>
        )}
        {entries.length === 0 && <p class="quiet">Nothing has been said yet.</p>}
        {entries.map((entry) => (
          <Row key={entry.key} entry={entry} />
        ))}
      </div>
      {!following.value && (
        <button
          type="button"
          class="button log-follow"
          onClick={() => {
            following.value = true;
            log.settle();
          }}
        >
          ↓ Follow
        </button>
      )}
    </div>
  );
}
