// A double of GitHub's REST interface. Every request is checked against GitHub's own
// OpenAPI description (method, path, parameters, body), and so is every answer, whose
// shape starts from the description's own examples. It keeps state (repositories, pull
// requests, labels, collaborators, reviewers) and has fault modes.
//
// As a module: const github = await startGithubDouble({ token, repositories }).
// As a program: node github_double.mjs [--token T] [--port N] [--repository owner/name=branch]...
// prints {"port":N,"url":"…"} and serves until SIGTERM. Control, without a token:
//   GET /_double/state · POST /_double/faults [{operation,times,…}] · POST /_double/reset
import http from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const Ajv = require('ajv').default;
const addFormats = require('ajv-formats').default;

// The description's "oneOf" alternatives overlap in places; any of them will do.
function relax(node) {
  if (Array.isArray(node)) return node.map(relax);
  if (node === null || typeof node !== 'object') return node;
  const out = {};
  for (const [key, value] of Object.entries(node)) {
    out[key === 'oneOf' ? 'anyOf' : key] = relax(value);
  }
  if (out.nullable === true && out.type === undefined) {
    delete out.nullable;
    return { anyOf: [out, { type: 'null' }] };
  }
  return out;
}

const USED = [
  ['get', '/user'],
  ['get', '/repos/{owner}/{repo}'],
  ['get', '/repos/{owner}/{repo}/issues'],
  ['get', '/repos/{owner}/{repo}/pulls'],
  ['post', '/repos/{owner}/{repo}/pulls'],
  ['get', '/repos/{owner}/{repo}/pulls/{pull_number}'],
  ['post', '/repos/{owner}/{repo}/issues/{issue_number}/labels'],
  ['get', '/repos/{owner}/{repo}/collaborators/{username}'],
  ['post', '/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers'],
];

class Description {
  constructor() {
    this.doc = relax(require('@octokit/openapi/generated/api.github.com.json'));
    this.ajv = new Ajv({ strict: false, allErrors: true, validateFormats: true });
    this.coercing = new Ajv({ strict: false, allErrors: true, coerceTypes: true });
    for (const ajv of [this.ajv, this.coercing]) {
      addFormats(ajv);
      ajv.addFormat('repo.nwo', /^[^/]+\/[^/]+$/);
      ajv.addFormat('timestamp', true);
      ajv.addSchema({ $id: 'github', components: this.doc.components });
    }
    this.compiled = new Map();
    this.routes = USED.map(([method, path]) => ({
      method,
      path,
      operation: this.doc.paths[path][method],
      pattern: new RegExp(`^${path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`),
    }));
  }

  resolve(node) {
    if (!node?.$ref) return node;
    return node.$ref.split('/').slice(1).reduce((at, part) => at[part], this.doc);
  }

  // Violations of schema by value, as texts.
  check(ajv, schema, value, where) {
    const key = `${ajv === this.ajv ? 's' : 'c'}${JSON.stringify(schema)}`;
    let validate = this.compiled.get(key);
    if (!validate) {
      const text = JSON.stringify(schema).replaceAll('"#/components/', '"github#/components/');
      validate = ajv.compile(JSON.parse(text));
      this.compiled.set(key, validate);
    }
    if (validate(value)) return [];
    return validate.errors.slice(0, 5).map((e) => `${where}${e.instancePath}: ${e.message}`);
  }

  find(method, pathname) {
    for (const route of this.routes) {
      const match = route.method === method.toLowerCase() && route.pattern.exec(pathname);
      if (match) return { route, params: { ...match.groups } };
    }
    return null;
  }

  checkRequest(route, params, query, body, hasBody) {
    const violations = [];
    const known = new Set();
    for (const raw of route.operation.parameters ?? []) {
      const parameter = this.resolve(raw);
      known.add(`${parameter.in}:${parameter.name}`);
      const value = parameter.in === 'path' ? params[parameter.name]
        : parameter.in === 'query' ? query.get(parameter.name) : undefined;
      if (value === null || value === undefined) {
        if (parameter.required && parameter.in !== 'header') {
          violations.push(`${parameter.name} is missing`);
        }
        continue;
      }
      violations.push(...this.check(this.coercing, {
        type: 'object', properties: { value: parameter.schema },
      }, { value }, parameter.name));
    }
    for (const name of query.keys()) {
      if (!known.has(`query:${name}`)) violations.push(`unknown query parameter ${name}`);
    }
    const schema = route.operation.requestBody?.content?.['application/json']?.schema;
    if (!schema) {
      if (hasBody) violations.push('a body is not expected');
      return violations;
    }
    if (body === undefined) return [...violations, 'the body is missing or not JSON'];
    violations.push(...this.check(this.ajv, schema, body, 'body'));
    const allowed = new Set([schema, ...(schema.anyOf ?? [])]
      .flatMap((s) => Object.keys(this.resolve(s).properties ?? {})));
    for (const name of Object.keys(body)) {
      if (!allowed.has(name)) violations.push(`unknown member ${name} in the body`);
    }
    return violations;
  }

  checkAnswer(route, status, body) {
    const response = this.resolve(route.operation.responses[String(status)]);
    if (!response) return [];
    const schema = response.content?.['application/json']?.schema;
    if (!schema) return body === undefined ? [] : ['the answer should have no body'];
    return this.check(this.ajv, schema, body, 'answer');
  }

  example(name) {
    return structuredClone(this.doc.components.examples[name].value);
  }
}

let description;

class GithubDouble {
  constructor({ token, repositories, login = 'octo-agent', scopes = 'repo' }) {
    description ??= new Description();
    this.description = description;
    this.token = token;
    this.login = login;
    this.scopes = scopes;
    this.initial = repositories;
    this.reset();
  }

  reset() {
    this.repositories = new Map();
    for (const [name, r] of Object.entries(this.initial)) {
      this.repositories.set(name.toLowerCase(), {
        name, defaultBranch: r.defaultBranch ?? 'main', branches: r.branches ?? null,
        collaborators: new Set(r.collaborators ?? []), pulls: [], issues: r.issues ?? [],
      });
    }
    this.chaos = null; // a function of the operation: the fault of this request, or null
    this.requests = [];
    this.violations = [];
    this.faults = [];
    this.hanging = new Set();
  }

  state() {
    return {
      requests: this.requests,
      violations: this.violations,
      pulls: [...this.repositories.values()].flatMap((r) => r.pulls.map((p) => ({
        repository: r.name, ...p,
      }))),
    };
  }

  repositoryAnswer(r) {
    const [owner, name] = r.name.split('/');
    const answer = this.description.example('full-repository-default-response');
    Object.assign(answer, { name, full_name: r.name, default_branch: r.defaultBranch });
    answer.owner.login = owner;
    // Where the examples fall short of the description they stand in.
    answer.language = 'C';
    delete answer.source;
    delete answer.parent;
    delete answer.template_repository;
    return answer;
  }

  pullAnswer(r, p, example) {
    const [owner] = r.name.split('/');
    const list = this.description.example(example);
    const answer = Array.isArray(list) ? list[0] : list;
    Object.assign(answer, {
      number: p.number, title: p.title, body: p.body, state: p.state,
      html_url: `https://github.com/${r.name}/pull/${p.number}`,
      url: `${this.url}/repos/${r.name}/pulls/${p.number}`,
    });
    answer.user.login = this.login;
    answer.requested_teams = [];
    answer.head.ref = p.head;
    answer.head.label = `${owner}:${p.head}`;
    answer.base.ref = p.base;
    answer.base.label = `${owner}:${p.base}`;
    return answer;
  }

  invalid(message, extra = {}) {
    return {
      status: 422,
      body: {
        message: 'Validation Failed',
        errors: [{ resource: 'PullRequest', code: 'custom', message, ...extra }],
        documentation_url: 'https://docs.github.com/rest/pulls/pulls#create-a-pull-request',
        status: '422',
      },
    };
  }

  plain(status, message, headers = {}) {
    return {
      status, headers,
      body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status) },
    };
  }

  openPull(r, body) {
    const head = body.head.replace(/^[^:]*:/, '');
    if (r.pulls.some((p) => p.head === head && p.base === body.base && p.state === 'open')) {
      return this.invalid(`A pull request already exists for ${r.name.split('/')[0]}:${head}.`);
    }
    if (r.branches && !r.branches.includes(head)) {
      return this.invalid('invalid', { field: 'head', code: 'invalid' });
    }
    if (r.branches && !r.branches.includes(body.base)) {
      return this.invalid('invalid', { field: 'base', code: 'invalid' });
    }
    if (head === body.base) return this.invalid(`No commits between ${head} and ${body.base}`);
    const pull = {
      number: r.pulls.length + 1, title: body.title, body: body.body ?? null, head,
      base: body.base, state: 'open', labels: [], reviewers: [],
    };
    r.pulls.push(pull);
    return { status: 201, body: this.pullAnswer(r, pull, 'pull-request') };
  }

  askReviewers(r, pull, body) {
    for (const name of body.reviewers ?? []) {
      if (name === this.login) {
        return this.invalid('Review cannot be requested from pull request author.');
      }
      if (!r.collaborators.has(name)) {
        return this.invalid('Reviews may only be requested from collaborators.');
      }
    }
    pull.reviewers = [...new Set([...pull.reviewers, ...(body.reviewers ?? [])])];
    return { status: 201, body: this.pullAnswer(r, pull, 'pull-request-review-request') };
  }

  perform(route, params, query, body) {
    const id = route.operation.operationId;
    if (id === 'users/get-authenticated') {
      const user = this.description.example(
        'private-user-response-with-public-and-private-profile-information');
      user.login = this.login;
      return { status: 200, body: user };
    }
    const r = this.repositories.get(`${params.owner}/${params.repo}`.toLowerCase());
    if (!r) return this.plain(404, 'Not Found');
    const number = Number(params.pull_number ?? params.issue_number ?? 0);
    const pull = r.pulls.find((p) => p.number === number);
    if (number && !pull) return this.plain(404, 'Not Found');
    switch (id) {
      case 'repos/get':
        return { status: 200, body: this.repositoryAnswer(r) };
      case 'issues/list-for-repo': {
        const state = query.get('state') ?? 'open';
        const size = Number(query.get('per_page') ?? 30);
        const from = (Number(query.get('page') ?? 1) - 1) * size;
        const [example] = this.description.example('issue-items');
        delete example.pull_request;
        return {
          status: 200,
          body: r.issues.filter((i) => state === 'all' || (i.state ?? 'open') === state)
            .slice(from, from + size).map((i) => ({ ...example, ...i })),
        };
      }
      case 'pulls/list': {
        const head = query.get('head')?.split(':').slice(1).join(':');
        const state = query.get('state') ?? 'open';
        const found = r.pulls.filter((p) => (!head || p.head === head)
          && (state === 'all' || p.state === state));
        return {
          status: 200,
          body: found.map((p) => this.pullAnswer(r, p, 'pull-request-simple-items')),
        };
      }
      case 'pulls/create':
        return this.openPull(r, body);
      case 'pulls/get':
        return { status: 200, body: this.pullAnswer(r, pull, 'pull-request') };
      case 'issues/add-labels': {
        pull.labels = [...new Set([...pull.labels, ...body.labels])];
        const [label] = this.description.example('label-items');
        return { status: 200, body: pull.labels.map((name) => ({ ...label, name })) };
      }
      case 'repos/check-collaborator':
        return r.collaborators.has(params.username)
          ? { status: 204 } : this.plain(404, 'Not Found');
      case 'pulls/request-reviewers':
        return this.askReviewers(r, pull, body);
      default:
        return this.plain(404, 'Not Found');
    }
  }

  // A fault: { operation: 'pulls/create' or '*', times: 1, status, retryAfter, headers,
  // message, mode: 'answer' (default) | 'hang' | 'drop', after: true (does it first) }.
  takeFault(id) {
    const chance = this.chaos?.(id);
    if (chance) return chance;
    const at = this.faults.findIndex((f) => f.operation === id || f.operation === '*');
    if (at < 0) return null;
    const fault = this.faults[at];
    fault.times = (fault.times ?? 1) - 1;
    if (fault.times <= 0) this.faults.splice(at, 1);
    return fault;
  }

  faultAnswer(fault) {
    const words = {
      401: 'Bad credentials', 403: 'You have exceeded a secondary rate limit',
      404: 'Not Found', 409: 'Conflict', 500: 'Server Error', 502: 'Bad Gateway',
      503: 'Service unavailable',
    };
    const headers = { ...fault.headers };
    if (fault.retryAfter !== undefined) headers['retry-after'] = String(fault.retryAfter);
    return this.plain(fault.status, fault.message ?? words[fault.status] ?? 'Error', headers);
  }

  checkHeaders(headers) {
    const violations = [];
    if (!headers['user-agent']) violations.push('User-Agent is missing');
    if (headers['x-github-api-version'] !== '2022-11-28') {
      violations.push('X-GitHub-Api-Version is not 2022-11-28');
    }
    if (!/^application\/(vnd\.github(\.\w+)?\+)?json$/.test(headers.accept ?? '')) {
      violations.push('Accept is not application/vnd.github+json');
    }
    return violations;
  }

  answer(req, text) {
    const url = new URL(req.url, 'http://double');
    const found = this.description.find(req.method, url.pathname);
    const entry = {
      at: Math.round(performance.now()), method: req.method, path: url.pathname + url.search,
      operation: found?.route.operation.operationId ?? null,
    };
    this.requests.push(entry);
    const refuse = (violations) => {
      this.violations.push(...violations.map((v) => `${req.method} ${req.url}: ${v}`));
      return this.plain(400, violations.join('; '));
    };
    if (!found) return refuse(['not an operation of the description that is served here']);
    let body;
    try {
      body = text ? JSON.parse(text) : undefined;
    } catch {
      return refuse(['the body is not JSON']);
    }
    entry.body = body;
    const violations = [
      ...this.checkHeaders(req.headers),
      ...this.description.checkRequest(found.route, found.params, url.searchParams, body,
        text !== ''),
    ];
    if (violations.length) return refuse(violations);
    if (req.headers.authorization !== `Bearer ${this.token}`) {
      return this.plain(401, 'Bad credentials');
    }
    const perform = () => this.perform(found.route, found.params, url.searchParams, body);
    const fault = this.takeFault(entry.operation);
    if (fault) {
      entry.fault = fault.status ?? fault.mode;
      if (fault.after) perform();
      if (fault.mode === 'hang' || fault.mode === 'drop') return { mode: fault.mode };
      return this.faultAnswer(fault);
    }
    const result = perform();
    const wrong = this.description.checkAnswer(found.route, result.status,
      result.status === 404 && entry.operation === 'repos/check-collaborator'
        ? undefined : result.body);
    if (wrong.length) this.violations.push(...wrong.map((v) => `${entry.operation}: ${v}`));
    return result;
  }

  control(req, res, text) {
    const send = (value) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(JSON.stringify(value));
    };
    if (req.url === '/_double/state') return send(this.state());
    if (req.url === '/_double/faults') {
      this.faults.push(...JSON.parse(text));
      return send({});
    }
    if (req.url === '/_double/reset') {
      this.reset();
      return send({});
    }
    res.writeHead(404);
    return res.end();
  }

  handle(req, res) {
    const chunks = [];
    req.on('data', (c) => chunks.push(c));
    req.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      if (req.url.startsWith('/_double/')) {
        this.control(req, res, text);
        return;
      }
      const result = this.answer(req, text);
      if (result.mode === 'drop') {
        req.socket.destroy();
        return;
      }
      if (result.mode === 'hang') {
        this.hanging.add(res);
        return;
      }
      res.writeHead(result.status, {
        'content-type': 'application/json; charset=utf-8', 'x-oauth-scopes': this.scopes,
        'x-ratelimit-remaining': '4999',
        'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 3600), ...result.headers,
      });
      res.end(result.body === undefined || result.status === 204
        ? undefined : JSON.stringify(result.body));
    });
  }
}

export async function startGithubDouble(options) {
  const double = new GithubDouble({ token: 'ghp_double', repositories: {}, ...options });
  const server = http.createServer((req, res) => double.handle(req, res));
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options?.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address();
  double.url = `http://127.0.0.1:${port}`;
  double.port = port;
  double.fault = (...faults) => double.faults.push(...faults);
  double.stop = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return double;
}

function parseArguments(argv) {
  const options = { token: process.env.GITHUB_TOKEN ?? 'ghp_double', repositories: {}, port: 0 };
  for (let i = 0; i < argv.length; i += 2) {
    const value = argv[i + 1];
    if (value === undefined) throw new Error(`${argv[i]} needs a value`);
    if (argv[i] === '--token') options.token = value;
    else if (argv[i] === '--port') options.port = Number(value);
    else if (argv[i] === '--repository') {
      const [name, defaultBranch = 'main'] = value.split('=');
      options.repositories[name] = { defaultBranch };
    } else throw new Error(`unknown argument ${argv[i]}`);
  }
  return options;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const double = await startGithubDouble(parseArguments(process.argv.slice(2)));
  process.stdout.write(`${JSON.stringify({ port: double.port, url: double.url })}\n`);
  process.on('SIGTERM', () => double.stop().then(() => process.exit(0)));
}
