// The page in headless Chromium: A2b byte to pixels, A6 an agent with a million lines, A6b
// any page of it and searches. Beside each: the way of a page that asks for everything
// every 5 seconds and puts it in by innerHTML, over the same data. BENCH_LINES (default
// 1e6) is the size of the large agent.
import http from 'node:http';
import { makeRepository, startStack, support } from '../support/stack.mjs';
import { openBrowser } from '../browser/browser.mjs';

const LINES = Number(process.env.BENCH_LINES ?? 1e6);
const POLL_MS = 5000;
const agentCommand = (script) => [support('scripted_agent'), '-e', JSON.stringify(script)];
const sorted = (list) => list.sort((a, b) => a - b);

// Wall-clock milliseconds of a CLOCK_MONOTONIC stamp of this machine.
const wallOffset = () => performance.timeOrigin + performance.now() - Number(process.hrtime.bigint()) / 1e6;

async function get(stack, url) {
  const ask = () => fetch(`http://localhost:${stack.port}/api/v1${url}`, { headers: { authorization: `Bearer ${stack.token}` } });
  const response = await ask().catch(ask); // an idle connection may just have been closed
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return await response.json();
}

// In the page: collects [stamp, when it was drawn] of the lines "N ns=…" that appear. A
// frame is on the screen when the task behind it runs.
function watchLines() {
  window.drawn = [];
  const seen = new Set();
  let waiting = false, inFrame = false;
  const { port1, port2 } = new MessageChannel();
  const look = (at) => {
    for (const box of document.querySelectorAll('pre')) {
      for (const [, n, ns] of box.textContent.slice(-20000).matchAll(/(\d+) ns=(\d+) /g)) {
        if (seen.has(n)) continue;
        seen.add(n);
        window.drawn.push([Number(ns) / 1e6, at]);
      }
    }
  };
  look(0);
  window.drawn.length = 0; // what was there before
  port1.onmessage = () => {
    inFrame = false;
    if (!waiting) return;
    waiting = false;
    look(performance.timeOrigin + performance.now());
  };
  // Changes made in a frame are on the screen when the task behind it runs, others with the
  // next frame.
  const frame = () => {
    inFrame = true;
    port2.postMessage(0);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new MutationObserver(() => {
    if (inFrame) waiting = true;
    else requestAnimationFrame(() => { waiting = true; });
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}

// The other way: one page, one answer with the whole of every agent's output.
async function startPoller(stack) {
  const all = async () => {
    const { agents } = await get(stack, '/agents');
    for (const agent of agents) {
      agent.log = '';
      for (let line = 0; ;) {
        const part = await get(stack, `/agents/${agent.id}/output?line=${line}&limit=10000`);
        if (!part.events.length) break;
        const text = part.events.map((event) => event.body.text).join('');
        agent.log += text;
        line = part.first_line + text.split('\n').length - 1;
        if (line >= part.lines) break;
      }
    }
    return JSON.stringify(agents);
  };
  let bytes = 0;
  const server = http.createServer(async (request, response) => {
    if (request.url === '/agents') {
      const body = await all();
      bytes = Buffer.byteLength(body);
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    } else {
      response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><body><div id="all"></div><script>
        const poll = async () => {
          const agents = await (await fetch('/agents')).json();
          document.getElementById('all').innerHTML = agents.map((a) => '<h2>' + a.title + '</h2><pre>' + a.log + '</pre>').join('');
        };
        poll();
        setInterval(poll, ${POLL_MS});
      </script>`);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, bytes: () => bytes,
    stop: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}

async function signedIn(stack, browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 820 } });
  context.setDefaultTimeout(180000);
  const page = await context.newPage();
  await page.goto(`http://localhost:${stack.port}/sign-in?token=${stack.token}`);
  await page.getByRole('link', { name: 'New task' }).first().waitFor();
  return { context, page };
}

async function pixels({ report, quantile, ms }) {
  const stack = await startStack();
  const repository = await makeRepository(stack.dir);
  await stack.startWebui();
  await stack.ask('config.set', { general: { agent_command: agentCommand({ turns: [{ steps: [{ flood: { lines: 1e6, size: 80, rate: 20 } }] }] }) } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'Flow' }], manager: false });
  const [agent] = tasks[0].agents;
  await stack.untilState(agent, 'working', 60000);
  const browser = await openBrowser();
  const poller = await startPoller(stack);
  const { page } = await signedIn(stack, browser);
  const judge = async (where, seconds) => {
    await where.locator('pre', { hasText: 'ns=' }).first().waitFor();
    await where.evaluate(watchLines);
    await where.waitForTimeout(seconds * 1000);
    const offset = wallOffset();
    return sorted((await where.evaluate(() => window.drawn)).map(([stamp, at]) => at - stamp - offset));
  };
  await page.goto(`http://localhost:${stack.port}/agents/${agent}`);
  const ours = await judge(page, 20);
  await page.close();
  const other = await browser.newPage();
  await other.goto(poller.url);
  const theirs = await judge(other, 21);
  await browser.close();
  await poller.stop();
  await stack.ask('agent.stop', { agent });
  await stack.stop();
  const both = (list) => (list.length ? `${ms(quantile(list, 0.5))} / ${ms(quantile(list, 0.99))}` : 'nothing drawn');
  report('A2b byte to pixels, 20 lines/s, agent’s story (p50 / p99)', both(ours), 'p50 <= 15 ms, p99 <= 60 ms', `${ours.length} lines, to the task behind the frame`);
  report('A2b … polled every 5 s, innerHTML', both(theirs), '', `${theirs.length} lines, same agent and browser`);
}

async function million({ report, quantile, ms }) {
  const stack = await startStack();
  const repository = await makeRepository(stack.dir);
  await stack.startWebui();
  await stack.ask('config.set', { general: { agent_command: agentCommand({ turns: [{ steps: [{ flood: { lines: LINES, size: 60 } }, { text: '\nlast line of all\n' }, { silence_ms: 3600000 }] }] }) } });
  const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title: 'A million' }], manager: false });
  const [agent] = tasks[0].agents;
  await stack.until((e) => e.kind === 'output' && String(e.body.text).includes('last line of all'), 'the flood', 300000, { agent, kinds: ['output'] });
  const browser = await openBrowser();
  const { context, page } = await signedIn(stack, browser);
  const cdp = await context.newCDPSession(page);
  await cdp.send('Network.enable');
  const paints = [];
  let bytes = 0;
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  for (let i = 0; i < 5; i++) {
    await page.goto(`http://localhost:${stack.port}/`);
    await page.getByText('A million').first().waitFor();
    if (i === 0) bytes = 0;
    paints.push(await page.evaluate((id) => new Promise((resolve) => {
      history.pushState(null, '', `/agents/${id}`);
      const from = performance.now();
      dispatchEvent(new PopStateEvent('popstate'));
      const look = () => (document.querySelector('.said pre') ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - from))) : requestAnimationFrame(look));
      look();
    }), agent));
    await page.getByText('last line of all').first().waitFor();
    await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
    if (i === 0) report(`A6 opening an agent of ${LINES} lines: on the wire`, `${(bytes / 1024).toFixed(0)} KB`, '<= 300 KB', 'with the view’s own scripts');
  }
  await cdp.send('HeapProfiler.collectGarbage');
  const { usedSize } = await cdp.send('Runtime.getHeapUsage');
  report('A6 … first paint (median of 5, most)', `${ms(sorted(paints)[2])} / ${ms(paints[4])}`, '<= 300 ms', 'from the board');
  report('A6 … JS heap', `${(usedSize / 1048576).toFixed(1)} MiB`, '<= 60 MB');
  await context.close();

  // Over a kept-open connection, the reading included.
  const timed = async (url) => {
    const from = performance.now();
    await get(stack, url);
    return performance.now() - from;
  };
  const pages = [], hits = [];
  for (let i = 0; i < 200; i++) pages.push(await timed(`/agents/${agent}/output?limit=1000&line=${Math.floor(Math.random() * (LINES - 1000))}`));
  for (let i = 0; i < 20; i++) hits.push(await timed(`/agents/${agent}/search?limit=1&q=${Math.floor((LINES * (i + 1)) / 21)}%20ns%3D`));
  const none = await timed(`/agents/${agent}/search?limit=1&q=is%20nowhere%20at%20all`);
  sorted(pages);
  sorted(hits);
  report('A6b a page of 1,000 lines anywhere (p50 / p99)', `${ms(quantile(pages, 0.5))} / ${ms(quantile(pages, 0.99))}`, '<= 5 ms', '200 pages, asked and parsed by Node');
  report('A6b search: first hit (p50 / most)', `${ms(quantile(hits, 0.5))} / ${ms(hits.at(-1))}`, '<= 150 ms', `20 places; found nowhere, all looked at: ${ms(none)}`);

  const poller = await startPoller(stack);
  const other = await browser.newPage();
  other.setDefaultTimeout(180000);
  const from = performance.now();
  await other.goto(poller.url);
  const drawn = await other.locator('pre', { hasText: 'last line of all' }).first().waitFor({ state: 'attached', timeout: 120000 }).then(() => true, () => false);
  const took = performance.now() - from;
  const usedByOther = await (await other.context().newCDPSession(other)).send('Runtime.getHeapUsage');
  report('A6 … asked for all, innerHTML: wire each 5 s / shown / heap',
    `${(poller.bytes() / 1048576).toFixed(0)} MiB / ${drawn ? `${(took / 1000).toFixed(1)} s` : 'not in 120 s'} / ${(usedByOther.usedSize / 1048576).toFixed(0)} MiB`, '', 'same data and browser; scrolling back and searching are the browser’s own');
  await browser.close();
  await poller.stop();
  await stack.ask('agent.stop', { agent });
  await stack.stop();
}

export async function page(tools, want) {
  if (want('pixels')) await pixels(tools);
  if (want('million')) await million(tools);
}
