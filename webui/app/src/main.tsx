import { render } from 'preact';
import { api, ApiError, session } from './api';
import { App, preloadViews } from './app';
import { startNotifying } from './notify';
import { navigate } from './router';
import { applyAll, loadAgents, loadPulses } from './store';
import { startStream } from './stream';
import type { Event } from './types';
import { watched } from './watched';
import './style/base.css';
import './style/controls.css';
import './style/layout.css';
import './style/board.css';
import './style/shell.css';
import './style/views.css';
import './style/agent.css';
import './style/log.css';
import './style/diff.css';
import './style/task.css';
import './style/form.css';

// What comes between two frames is drawn at once; a hidden tab has no frames.
let queue: Event[] = [];
let planned = false;
// More than this is drawn without waiting for a frame (a tab that was hidden meanwhile).
const QUEUE_MAX = 2000;

function flush(): void {
  planned = false;
  const events = queue;
  queue = [];
  applyAll(events);
  watched.value?.events(events);
}

let pulses = false;
function firstTime(): void {
  if (!pulses) void loadPulses();
  pulses = true;
}

async function signInByUrl(): Promise<void> {
  const url = new URL(location.href);
  const token = url.searchParams.get('token');
  if (url.pathname !== '/sign-in' || !token) return;
  // Out of the address bar and the history before anything else.
  navigate('/', true);
  await api.signIn(token).catch(() => {});
}

async function start(): Promise<void> {
  await signInByUrl();
  try {
    session.value = (await api.session()).signed_in ? 'in' : 'out';
  } catch (error) {
    // A server that is away is not a reason to ask for the token.
    session.value = error instanceof ApiError && error.status === 401 ? 'out' : 'in';
  }
  startStream({
    events: (events) => {
      queue.push(...events);
      if (queue.length > QUEUE_MAX) flush();
      if (planned || !queue.length) return;
      planned = true;
      if (document.hidden) setTimeout(flush, 100);
      else requestAnimationFrame(flush);
    },
    resync: () => {
      void loadAgents().then(firstTime);
      void watched.value?.load();
    },
  });
  startNotifying();
  setTimeout(() => void preloadViews(), 1500);
}

const root = document.getElementById('app');
if (root) render(<App />, root);
void start();
