// The frame around every view: head line, banner, what is spoken.
import { api, session } from './api';
import { lazy } from './parts/Lazy';
import { Link, route } from './router';
import { announcement, waiting } from './store';
import { connection } from './stream';
import { AgentsView } from './views/Agents';
import { NewView } from './views/New';
import { SettingsView } from './views/Settings';
import { SignInView } from './views/SignIn';

const AgentView = lazy(() => import('./views/Agent').then((made) => made.AgentView));

function Connection() {
  const state = connection.value;
  const words = { connecting: 'Connecting', live: 'Live', lost: 'Offline' }[state];
  return (
    <span class={`connection connection-${state}`} title={state === 'live' ? 'Events arrive as they happen' : words}>
      <span class="connection-dot" aria-hidden="true" />
      {words}
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

function View() {
  const at = route.value;
  switch (at.name) {
    case 'agents':
      return <AgentsView />;
    case 'new':
      return <NewView />;
    case 'settings':
      return <SettingsView />;
    case 'agent':
      return <AgentView key={at.id} id={at.id} tab={at.tab} />;
    default:
      return (
        <section class="empty">
          <h1 tabIndex={-1}>There is nothing here</h1>
          <p>
            <Link to="/">Go to the agents</Link>
          </p>
        </section>
      );
  }
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
        <div class="top-inner">
          <Link to="/" class="brand" aria-label="100x, all agents">
            <span class="brand-mark" aria-hidden="true">
              100<i>×</i>
            </span>
          </Link>
          <nav class="nav" aria-label="Main">
            <Link to="/" current={at === 'agents' || at === 'agent'}>
              Agents
              {waiting.value > 0 && (
                <span class="nav-count" title="waiting for you">
                  {waiting.value}
                  <span class="hidden"> waiting for you</span>
                </span>
              )}
            </Link>
            <Link to="/settings" current={at === 'settings'}>
              Settings
            </Link>
          </nav>
          <div class="top-end">
            <Connection />
            <button type="button" class="button button-quiet" onClick={() => void signOut()}>
              Sign out
            </button>
            <Link to="/new" class="button button-main" current={at === 'new'}>
              New task
            </Link>
          </div>
        </div>
      </header>
      <Banner />
      <main id="main">
        <View />
      </main>
      <div class="hidden" role="status" aria-live="polite">
        {announcement}
      </div>
    </>
  );
}
