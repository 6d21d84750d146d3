// Pictures of the real page for the README: real supervisor, workers, aider and webui,
// with the practice model behind them, and scripted agents for what takes a person's time.
//   node tests/browser/screenshots.mjs [FOLDER]      (default docs/screenshots)
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { git, makeRepository, root, startPracticeModel, startStack, support } from '../support/stack.mjs';
import { openBrowser } from './browser.mjs';

const folder = path.resolve(process.argv[2] ?? path.join(root, 'docs/screenshots'));

const decision = (progress, thought, action, future) => JSON.stringify({ progress, thought, action, future });

// What the manager says of the scripted agents' tasks.
const RULES = { rules: [
  { system: 'You judge the work of several coding agents', answer: JSON.stringify({ winner: 6,
    reasons: 'Only agent 6 sorts files that do not fit into memory, which is what the task asks for. The two others are shorter, but read the whole file at once or lean on a program that may be missing.',
    scores: [
      { agent: 6, score: 88, reasons: 'Sorts in pieces and merges them; temporary files are not closed early.' },
      { agent: 7, score: 41, reasons: 'Short and clear, but holds the whole file in memory.' },
      { agent: 8, score: 57, reasons: 'Works for large files where sort(1) exists; no limit can be given.' }] }) },
  { any: 'Search long texts faster', answers: [
    decision('Nothing is changed yet; find_all is the only slow part.', 'It walks over the whole text once for each word.',
      '/instruct Make find_all read the text once, whatever the number of words.', 'Then run the tests.'),
    decision('The search reads the text once instead of once per word.', 'The change is small; the tests tell whether the results are the same.',
      '/run python3 -m unittest -q', 'Then the index can be kept between searches.'),
    decision('All tests pass with the single pass; the index comes next.', 'Building the index again for each search is the slow part now.',
      '/instruct Keep the index between searches and rebuild it only when the text changes.', 'Measure both on a long text, then finish.'),
  ] },
  { any: "Write the user's guide", answers: [
    decision('The modules are read; the outline of the guide stands.', 'One page for each module is enough to begin with.',
      '/instruct Write docs/guide.md with a section for each module.', 'Then an example for each function.'),
  ] },
  { any: 'Export the report as CSV', answers: [
    decision('The report has a table export already.', 'Both exports should keep one order of columns.',
      '/instruct Write report_csv with the same columns as the table export.', 'Then test it with an empty report.'),
  ] },
] };

const SEARCH = `--- a/textkit/search.py
+++ b/textkit/search.py
@@ -1,9 +1,13 @@
 """Search in long texts."""
 
 
 def find_all(text, words):
     """Positions of each word in text."""
-    found = {}
-    for word in words:
-        found[word] = [i for i in range(len(text)) if text.startswith(word, i)]
-    return found
+    found = {word: [] for word in words}
+    by_first = {}
+    for word in found:
+        by_first.setdefault(word[0], []).append(word)
+    for i, letter in enumerate(text):
+        for word in by_first.get(letter, ()):
+            if text.startswith(word, i):
+                found[word].append(i)
+    return found
`;

// Three ways to the same end.
const SORTS = [
  { said: 'Sort in pieces that fit into memory and merge them.', text: `import heapq
import tempfile


def sort_file(lines, limit=100_000):
    pieces = []
    piece = []
    for line in lines:
        piece.append(line)
        if len(piece) >= limit:
            pieces.append(spill(sorted(piece)))
            piece = []
    pieces.append(iter(sorted(piece)))
    return heapq.merge(*pieces)


def spill(piece):
    file = tempfile.TemporaryFile('w+')
    file.writelines(piece)
    file.seek(0)
    return file
` },
  { said: 'Sort everything in memory: the files are small.', text: `def sort_file(lines):
    return sorted(lines)
` },
  { said: 'Let sort(1) do it.', text: `import subprocess


def sort_file(path):
    done = subprocess.run(['sort', path], check=True, capture_output=True, text=True)
    return done.stdout.splitlines(keepends=True)
` },
];

const apply = (patch, sign) => patch.split('\n').slice(3).filter((line) => line[0] === ' ' || line[0] === sign).map((line) => line.slice(1)).join('\n') + '\n';
const before = apply(SEARCH, '-');
const after = apply(SEARCH, '+');

const hang = { silence_ms: 3600000 };
const usage = (tokens_in, tokens_out, dollars) => ({ usage: { model: 'openai/practice', tokens_in, tokens_out, tokens_cached: 0, dollars } });
const SCRIPT = { turns: [
  { match: 'Make find_all', steps: [
    { thought: 'find_all walks over the whole text once for each word. One walk is enough when words are grouped by their first letter.\n' },
    { text: 'I will read the text once and compare only the words that can begin at each position.\n' },
    { write: { path: 'textkit/search.py', text: after } },
    { tool: { id: 'edit-1', title: 'Edit textkit/search.py', kind: 'edit', status: 'completed', path: 'textkit/search.py', old: before, new: after } },
    { commit: 'perf: search all words in one pass' },
    usage(18214, 1240, 0.0231),
  ] },
  { match: '/run python3', steps: [
    { tool: { id: 'run-1', title: 'python3 -m unittest -q', kind: 'execute', status: 'completed', text: 'Ran 14 tests in 0.031s\n\nOK\n' } },
    usage(2210, 96, 0.0027),
  ] },
  { match: 'Keep the index', steps: [
    { thought: 'The index belongs to the text, so a small class can hold both.\n' },
    { text: 'I add a class Text that builds its index on first use:\n\n    text = Text(source)\n    text.find_all(words)      # builds the index\n    text.find_all(others)     # uses it again\n\nThe old function stays and makes such an object for one call. ' },
    usage(24530, 1733, 0.0312), hang,
  ] },
  { match: 'Write report_csv', steps: [
    { text: 'The export needs a library that is not installed here.\n' }, usage(9120, 410, 0.0098),
    { permission: { title: 'Run pip install tabulate', kind: 'execute', options: [
      { id: 'once', name: 'Allow once', kind: 'allow_once' }, { id: 'always', name: 'Always allow', kind: 'allow_always' },
      { id: 'no', name: 'Reject', kind: 'reject_once' }], allowed: [hang], rejected: [hang] } },
  ] },
  // Each agent plays the script from its beginning: which of the three ways it goes is told by its number.
  { match: 'Sort large files', steps: [
    { run: `case $(( $(git branch --show-current | tr -dc 0-9) % 3 )) in ${SORTS.map(({ said, text }, i) =>
      `${i}) cat >textkit/sort.py <<'END'\n${text}END\nsleep 0.${i * 3}; git add -A; git commit -qm '${said}';;`).join('\n')} esac` },
    usage(9800, 940, 0.0121) ] },
  { match: 'Read old settings files', steps: [{ text: 'Reading the old format.\n' }, usage(3020, 150, 0.0031), { exit: 3 }] },
  { steps: [hang] },
] };

// The sample project with a module to make faster, under the name it would have.
async function repositoryOf(dir) {
  const sample = path.join(root, 'tests/support/sample');
  const files = { 'textkit/search.py': before };
  for (const file of await readdir(sample, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const full = path.join(file.parentPath ?? file.path, file.name);
    if (!full.includes('__pycache__')) files[path.relative(sample, full)] = await readFile(full, 'utf8');
  }
  const work = await makeRepository(dir, files, 'textkit');
  // One that takes pushes, as a server's does.
  await git(dir, 'clone', '-q', '--bare', work, path.join(dir, 'textkit.git'));
  return path.join(dir, 'textkit.git');
}

async function scene(stack) {
  const repository = await repositoryOf(stack.dir);
  const create = async (title, options = {}) => {
    const { tasks } = await stack.ask('task.create', { repository, tasks: [{ title, description: options.description ?? '' }], ...options.task });
    return tasks[0].agents;
  };
  // First what real aider does.
  const ended = [];
  for (const { title, description, test_command } of JSON.parse(await readFile(path.join(root, 'tests/support/sample.json'), 'utf8'))) {
    ended.push(...(await create(title, { description, task: { test_command } })));
  }
  for (const agent of ended) await stack.untilState(agent, 'done', 180000);

  const script = path.join(stack.dir, 'script.json');
  await writeFile(script, JSON.stringify(SCRIPT));
  await stack.ask('config.set', { general: { agent_command: [support('scripted_agent'), '--script', script], max_working: 2 } });
  const [failed] = await create('Read old settings files', { task: { manager: false } });
  await stack.untilState(failed, 'failed', 60000);
  const [waiting] = await create('Export the report as CSV', { task: { permission: 'ask' } });
  await stack.untilState(waiting, 'waiting', 60000);
  const [working] = await create('Search long texts faster', { description: 'find_all in textkit/search.py is slow with many words. Make it read the text once.' });
  await stack.until((e) => e.kind === 'output' && String(e.body.text).includes('The old function'), 'the third turn', 60000, { agent: working });
  const rivals = await create('Sort large files', { task: { manager: false, agents_per_task: 3, test_command: 'python3 -c "import textkit"', pull_request: false } });
  for (const agent of rivals) await stack.untilState(agent, 'done', 60000);
  await stack.ask('task.judge', { task: (await stack.ask('agent.show', { agent: rivals[0] })).task_id });
  const [guide] = await create("Write the user's guide");
  await stack.until((e) => e.kind === 'turn', 'the guide to begin', 60000, { agent: guide });
  await create('Translate the messages');
  await stack.ask('config.set', {
    models: { orchestrator: 'openrouter/google/gemini-flash-1.5', agent: 'openrouter/google/gemini-flash-1.5', aider: 'openrouter/google/gemini-flash-1.5' },
    general: { agent_command: [], instructions: 'Keep changes small and write a test for each of them.' },
  });
  await stack.ask('agent.tell', { agent: working, text: 'Keep the old function, others call it.' });
  return { repository, working, waiting, task: (await stack.ask('agent.show', { agent: rivals[0] })).task_id };
}

async function take(browser, stack, { repository, working, waiting, task }) {
  const origin = `http://localhost:${stack.port}`;
  const shots = [
    ['board', '/', '.row'],
    ['agent', `/agents/${working}`, '.turn-open .said'],
    ['question', `/agents/${waiting}`, '.question'],
    ['terminal', `/agents/${working}?tab=terminal`, '.xterm-rows span'],
    ['changes', `/agents/${working}?tab=changes`, '.diff-rows'],
    ['cost', `/agents/${working}?tab=cost`, '.u-over'],
    ['details', `/agents/${working}?tab=details`, '.details-list'],
    ['task', `/tasks/${task}`, '.versus .diff-rows'],
    ['new', '/new', '.create'],
    ['activity', '/activity', '.event'],
    ['costs', '/costs', '.cost-table'],
    ['health', '/health', '.cards'],
    ['settings', '/settings', '.key-list'],
    ['palette', '/', '.row'],
    ['reply', '/', '.row'],
    ['keys', '/', '.row'],
  ];
  const phone = ['board', 'agent', 'terminal', 'changes', 'task', 'new', 'activity', 'costs', 'health', 'settings'];
  for (const [suffix, colorScheme, viewport] of [
    ['dark', 'dark', { width: 1280, height: 820 }],
    ['light', 'light', { width: 1280, height: 820 }],
    ['phone', 'dark', { width: 390, height: 844 }],
  ]) {
    const context = await browser.newContext({ colorScheme, viewport, deviceScaleFactor: 1.5, reducedMotion: 'reduce' });
    const page = await context.newPage();
    await page.goto(`${origin}/sign-in?token=${stack.token}`);
    for (const [name, where, ready] of shots) {
      if (suffix === 'phone' && !phone.includes(name)) continue;
      await page.goto(origin + where);
      await page.locator(ready).first().waitFor();
      await page.locator('.connection-live').waitFor({ state: 'attached' });
      if (name === 'new') {
        await page.getByLabel('Address').fill(repository);
        await page.getByLabel('Title').fill('Parse dates without a year');
        await page.getByLabel('Description').fill('Dates like 03-01 should mean this year. See parse() in textkit/dates.py;\nthe cases are in the issue.');
        await page.locator('.checked-good').waitFor();
        await page.getByLabel('Agents per task').fill('3');
        await page.getByLabel('Test command').fill('pytest -q');
        await page.getByRole('heading', { level: 1 }).focus();
      }
      if (name === 'palette') {
        await page.keyboard.press('Control+k');
        await page.keyboard.type('se');
      }
      if (name === 'keys') await page.keyboard.press('?');
      if (name === 'reply') {
        await page.keyboard.press('j');
        await page.keyboard.press('r');
        await page.locator('.question').waitFor();
      }
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      await page.screenshot({ path: path.join(folder, `${name}-${suffix}.png`) });
      console.log(`${name}-${suffix}.png`);
    }
    await context.close();
  }
}

const scratch = await mkdtemp(path.join(tmpdir(), '100x-screenshots-'));
let model, stack, browser;
try {
  await mkdir(folder, { recursive: true });
  const rules = path.join(scratch, 'rules.json');
  await writeFile(rules, JSON.stringify(RULES));
  model = await startPracticeModel({ script: rules });
  stack = await startStack({ practice: model.port });
  browser = await openBrowser();
  const agents = await scene(stack);
  await stack.startWebui();
  await take(browser, stack, agents);
} finally {
  await browser?.close();
  await stack?.stop();
  await model?.stop();
  await rm(scratch, { recursive: true, force: true });
}
