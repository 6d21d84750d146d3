// The frame around every view: head line, banner, dialogs, what is spoken.
import { api, session } from './api';
import { act, tell, toggle } from './actions';
import { addKeys, begun, dialogIsOpen, press, typing } from './keys';
import { canNotify, notifying, notifyMe } from './notify';
import { Help, helping, Keys } from './parts/Help';
import { Icon, type IconName } from './parts/Icon';
import { lazy } from './parts/Lazy';
import { asking, Palette } from './parts/Palette';
import { Tell } from './parts/Tell';
import { Toasts } from './parts/Toasts';
import { Link, navigate, route, type Route } from './router';
import { agents, announcement, nextWaiting, waiting } from './store';
import { connection } from './stream';
import { theme, THEMES } from './theme';
import { undoLast } from './toast';
import { BoardView } from './views/Board';
import { SignInView } from './views/SignIn';

const AgentView = lazy(async () => (await import('./views/Agent')).AgentView);
const TaskView = lazy(async () => (await import('./views/Task')).TaskView);
const NewView = lazy(async () => (await import('./views/New')).NewView);
const ActivityView = lazy(async () => (await import('./views/Activity')).ActivityView);
const CostsView = lazy(async () => (await import('./views/Costs')).CostsView);
const HealthView = lazy(async () => (await import('./views/Health')).HealthView);
const SettingsView = lazy(async () => (await import('./views/Settings')).SettingsView);

// What is likely opened next, fetched while there is nothing else to do.
export const preloadViews = async (): Promise<void> => {
  await AgentView.preload();
  await NewView.preload();
};

const VIEWS: readonly { name: Route['name']; to: string; label: string; icon: IconName }[] = [
  { name: 'board', to: '/', label: 'Board', icon: 'board' },
  { name: 'activity', to: '/activity', label: 'Activity', icon: 'activity' },
  { name: 'costs', to: '/costs', label: 'Costs', icon: 'costs' },
  { name: 'health', to: '/health', label: 'Health', icon: 'health' },
  { name: 'settings', to: '/settings', label: 'Settings', icon: 'settings' },
];

const shownAgent = (): number[] => {
  const at = route.peek();
  return at.name === 'agent' ? [at.id] : [];
};

// Another agent, in the order of their numbers as the board has them.
function neighbour(step: number): boolean {
  const [id] = shownAgent();
  if (id === undefined) return false;
  const all = agents.peek().map((agent) => agent.id);
  const next = all[all.indexOf(id) + step];
  if (next !== undefined) navigate(`/agents/${next}`);
  return true;
}

function focusMessage(): boolean {
  const [id] = shownAgent();
  if (id === undefined) return false;
  const box = document.querySelector<HTMLElement>('#message:not(:disabled)');
  if (box) box.focus();
  else tell([id]);
  return true;
}

const go = (path: string) => (): void => navigate(path);

addKeys([
  { keys: 'ctrl+k', label: 'Command palette', group: 'Everywhere', run: () => void (asking.value = !asking.peek()) },
  { keys: '?', label: 'This help', group: 'Everywhere', run: () => void (helping.value = true) },
  { keys: 'c', label: 'New task', group: 'Everywhere', run: go('/new') },
  { keys: 'z', label: 'Undo', group: 'Everywhere', run: () => undoLast() },
  { keys: 'g b', label: 'Board', group: 'Go to', run: go('/') },
  { keys: 'g n', label: 'New task', group: 'Go to', run: go('/new') },
  { keys: 'g a', label: 'Activity', group: 'Go to', run: go('/activity') },
  { keys: 'g c', label: 'Costs', group: 'Go to', run: go('/costs') },
  { keys: 'g h', label: 'Health', group: 'Go to', run: go('/health') },
  { keys: 'g s', label: 'Settings', group: 'Go to', run: go('/settings') },
  {
    keys: 'g w',
    label: 'Who waits longest',
    group: 'Go to',
    run: () => {
      const id = nextWaiting(shownAgent()[0]);
      if (id !== undefined) navigate(`/agents/${id}`);
    },
  },
  { keys: 'j', label: 'Next agent', group: 'On an agent', run: () => neighbour(1) },
  { keys: 'k', label: 'Previous agent', group: 'On an agent', run: () => neighbour(-1) },
  { keys: 'r', label: 'Reply', group: 'On an agent', run: focusMessage },
  {
    keys: 'p',
    label: 'Pause or resume',
    group: 'On an agent',
    run: () => {
      const ids = shownAgent();
      if (!ids.length) return false;
      toggle(ids);
    },
  },
  {
    keys: 'e',
    label: 'Archive',
    group: 'On an agent',
    run: () => {
      const ids = shownAgent();
      if (!ids.length) return false;
      void act('archive', ids);
    },
  },
]);
window.addEventListener('keydown', press);
// Out of a field with Escape, so that the keys mean actions again.
window.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !event.defaultPrevented && typing(event.target) && !dialogIsOpen()) {
    (event.target as HTMLElement).blur();
  }
});

function Connection() {
  const state = connection.value;
  const words = { connecting: 'Connecting', live: 'Live', lost: 'Offline' }[state];
  return (
    <span class={`connection connection-${state}`} title={state === 'live' ? 'Events arrive as they happen' : words}>
      <span class="connection-dot" aria-hidden="true" />
      <span class="connection-word">{words}</span>
    </span>
  );
}

function Banner() {
  if (connection.value !== 'lost') return null;
  return (
    <div class="banner" role="status">
      The connection to the server is lost. What you see may be old; it is tried again by itself, and nothing will be missed.
    </div>
  );
}

async function signOut(): Promise<void> {
  await api.signOut().catch(() => {});
  session.value = 'out';
}

function Menu() {
  return (
    <>
      <button type="button" class="button-icon" popovertarget="menu" aria-label="Menu">
        <Icon name="more" size={18} />
      </button>
      <div id="menu" class="menu" popover="auto">
        <fieldset>
          <legend>Theme</legend>
          <div class="segments">
            {THEMES.map(([name, label]) => (
              <label key={name}>
                <input type="radio" name="theme" checked={theme.value === name} onChange={() => (theme.value = name)} />
                <span>{label}</span>
              </label>
            ))}
          </div>
        </fieldset>
        {canNotify() && (
          <label class="check-line">
            <input
              type="checkbox"
              checked={notifying.value}
              onChange={async (event) => {
                const box = event.currentTarget;
                box.checked = await notifyMe(box.checked);
              }}
            />
            Desktop notifications
          </label>
        )}
        <button type="button" class="menu-item" popovertarget="menu" popovertargetaction="hide" onClick={() => (helping.value = true)}>
          Keyboard shortcuts <Keys keys="?" />
        </button>
        <button type="button" class="menu-item" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
    </>
  );
}

function View() {
  const at = route.value;
  switch (at.name) {
    case 'board':
      return <BoardView />;
    case 'new':
      return <NewView />;
    case 'activity':
      return <ActivityView />;
    case 'costs':
      return <CostsView />;
    case 'health':
      return <HealthView />;
    case 'settings':
      return <SettingsView />;
    case 'agent':
      return <AgentView key={at.id} id={at.id} tab={at.tab} />;
    case 'task':
      return <TaskView key={at.id} id={at.id} />;
    default:
      return (
        <section class="empty">
          <h1 tabIndex={-1}>There is nothing here</h1>
          <p>
            <Link to="/">Go to the board</Link>
          </p>
        </section>
      );
  }
}

function Count() {
  if (!waiting.value) return null;
  return (
    <span class="nav-count" title="waiting for you">
      {waiting.value}
      <span class="hidden"> waiting for you</span>
    </span>
  );
}

export function App() {
  if (session.value === 'unknown') return <div class="boot" role="status" aria-label="Loading" />;
  if (session.value === 'out') return <SignInView />;
  const at = route.value.name;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <Link to="/" class="brand">
          <span class="brand-mark">
            100<i>×</i>
          </span>
          <span class="hidden"> board</span>
        </Link>
        <nav class="nav" aria-label="Main">
          {VIEWS.map(({ name, to, label, icon }) => (
            <Link key={name} to={to} current={at === name || (name === 'board' && (at === 'agent' || at === 'task'))}>
              <Icon name={icon} />
              <span class="nav-word">{label}</span>
              {name === 'board' && <Count />}
            </Link>
          ))}
        </nav>
        <div class="top-end">
          <button type="button" class="search-button" onClick={() => (asking.value = true)}>
            <Icon name="search" size={14} />
            <span class="search-word">Search or do…</span>
            <Keys keys="ctrl+k" />
          </button>
          <Connection />
          <Menu />
          <Link to="/new" class="button button-main new-button" current={at === 'new'}>
            <Icon name="plus" size={14} />
            New task
          </Link>
        </div>
      </header>
      <Banner />
      <main id="main" class={`main main-${at}`} tabIndex={-1}>
        <View />
      </main>
      <Palette />
      <Help />
      <Tell />
      <Toasts />
      {begun.value && (
        <div class="begun" aria-hidden="true">
          <Keys keys={begun.value} /> …
        </div>
      )}
      <div class="hidden" role="status" aria-live="polite">
        {announcement}
      </div>
    </>
  );
}
