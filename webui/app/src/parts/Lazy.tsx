// A view whose code is a chunk of its own, loaded when it is first shown:
//   const AgentView = lazy(() => import('./views/Agent').then((made) => made.AgentView));
import type { ComponentType } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';
import { holdKeys } from '../keys';

function Failed() {
  return (
    <section class="empty" role="alert">
      <h1 tabIndex={-1}>This part of the page could not be loaded</h1>
      <p>The server may be away, or newer than this page.</p>
      <p>
        <button type="button" class="button" onClick={() => location.reload()}>
          Load the page again
        </button>
      </p>
    </section>
  );
}

export function lazy<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> & { preload: () => Promise<void> } {
  let made: ComponentType<Props> | undefined;
  const Lazy = (props: Props) => {
    const [, setLoaded] = useState(Boolean(made));
    const [failed, setFailed] = useState(false);
    useLayoutEffect(() => {
      if (made) return;
      const letGo = holdKeys();
      load().then(
        (found) => {
          made = found;
          setLoaded(true);
          // Drawn a microtask from now.
          queueMicrotask(() => void letGo());
        },
        () => {
          setFailed(true);
          void letGo();
        },
      );
      return () => void letGo();
    }, []);
    if (failed) return <Failed />;
    if (!made) return <div class="boot" role="status" aria-label="Loading" />;
    const Made = made;
    return <Made {...props} />;
  };
  // Fetched before it is asked for; a failure is told when it is.
  const preload = async (): Promise<void> => void load().then((found) => (made ??= found), () => {});
  return Object.assign(Lazy, { preload });
}
