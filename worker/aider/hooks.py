"""Everything the adapter changes in aider, in one place, so that a new version can be
checked against it. The contract tests exercise each."""

import functools
import json
import os
import re
import sys
import threading
import types
from pathlib import Path

import failures
import interrupts
import runner

RETRY_MAX_S = 8  # aider doubles its delay from 0.25 s up to this, then gives up: 16 s in all
READ_MAX = 4 * 1024 * 1024  # a larger file's content is not read for a diff

OWN_NAME = "100x agent"
OWN_EMAIL = "agent@localhost"


_STRING_OR_EXTRA = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|,(?=\s*[}\]])')


def _fast_json5(slow):
    """aider's own metadata file is JSON but for trailing commas and comments; its JSON5
    parser takes a quarter of a second for that. Anything else still goes there."""

    def loads(text):
        try:
            return json.loads(_STRING_OR_EXTRA.sub(lambda found: found[1] or "", text))
        except ValueError:
            return slow(text)

    return loads


def aider_version():
    """Of the installed package, without importing it; None if there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("aider-chat")
    except PackageNotFoundError:
        return None


def before_import():
    """Environment and modules, before aider is imported."""
    os.environ.update(
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_MODE="PRODUCTION",  # LiteLLM reads no .env then
        BROWSER="/bin/true",
        NO_COLOR="1",
        COLUMNS="10000",
        GIT_TERMINAL_PROMPT="0",
        PYTHONUTF8="1",
    )
    os.environ.pop("TERM", None)
    for name in [n for n in os.environ if n.startswith("AIDER_")]:
        del os.environ[name]
    _stand_in("mixpanel", MixpanelException=Exception)
    _stand_in("posthog", Posthog=None)
    _fast_yaml()


def _stand_in(name, **attributes):
    """Analytics libraries: not even imported."""
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module


def _fast_yaml():
    """aider parses its model settings at import; libyaml is ten times faster at it."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", None)
    if loader:
        yaml.safe_load = lambda stream: yaml.load(stream, Loader=loader)


def after_import(session_dir, console):
    """aider as a guest: no configuration from the repository, no network but the
    model, no questions at start, no file outside of session_dir."""
    import webbrowser

    import aider.main as main
    from aider import models, onboarding, report, repomap, versioncheck

    webbrowser.open = lambda *_args, **_kwargs: False
    parser = main.get_parser
    main.get_parser = lambda _files, git_root: parser([], git_root)
    main.load_dotenv_files = lambda *_args, **_kwargs: []
    main.generate_search_path_list = lambda _name, _root, given: [given] if given else []
    main.InputOutput = console
    main.report_uncaught_exceptions = lambda: None
    main.is_first_run_of_new_version = lambda *_args, **_kwargs: False
    main.check_and_load_imports = lambda *_args, **_kwargs: None
    main.setup_git = _setup_git
    main.check_gitignore = lambda *_args, **_kwargs: None
    main.check_version = versioncheck.check_version = lambda *_args, **_kwargs: False
    main.install_upgrade = main.install_from_main_branch = lambda *_args, **_kwargs: False
    main.offer_openrouter_oauth = onboarding.offer_openrouter_oauth = lambda *_a, **_k: False
    report.report_github_issue = lambda *_args, **_kwargs: None
    models.json5 = types.SimpleNamespace(loads=_fast_json5(models.json5.loads))
    models.ModelInfoManager.get_model_info = _model_info
    models.Model.validate_environment = lambda _self: {
        "missing_keys": [],
        "keys_in_environment": True,
    }
    repomap.RepoMap.TAGS_CACHE_DIR = str(Path(session_dir) / "tags-cache")


@functools.lru_cache(maxsize=1)
def _prices():
    import importlib.util

    folder = Path(importlib.util.find_spec("litellm").origin).parent
    text = (folder / "model_prices_and_context_window_backup.json").read_text(encoding="utf-8")
    return json.loads(text)


def _model_info(manager, model):
    """Prices and limits from the metadata files, then from LiteLLM's bundled table:
    without importing LiteLLM and without the network."""
    own = manager.local_model_metadata.get(model)
    if own:
        return own
    table = _prices()
    info = table.get(model)
    if info is None and "/" in model:
        provider, name = model.split("/", 1)
        info = table.get(name)
        if info and info.get("litellm_provider") != provider:
            info = None
    return info or {}


def _setup_git(git_root, _io):
    """aider would write "Your Name" into the repository's configuration; a missing
    identity is given by the environment instead."""
    import git

    try:
        repo = git.Repo(git_root)
    except (git.exc.GitError, OSError, TypeError):
        return None
    missing = []
    for key, value in (("user.name", OWN_NAME), ("user.email", OWN_EMAIL)):
        try:
            repo.git.config("--get", key)
        except git.exc.GitCommandError:
            missing.append((key, value))
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0") or 0)
    for key, value in missing:
        os.environ[f"GIT_CONFIG_KEY_{count}"] = key
        os.environ[f"GIT_CONFIG_VALUE_{count}"] = value
        count += 1
    if missing:
        os.environ["GIT_CONFIG_COUNT"] = str(count)
    return repo.working_tree_dir


def watch(session):
    """Edits, commits, commands and model calls, told as they happen."""
    import aider.commands as commands
    import aider.linter as linter
    from aider import models
    from aider.coders import base_coder
    from aider.exceptions import LiteLLMExceptions
    from aider.llm import LazyLiteLLM
    from aider.repo import GitRepo

    coder = base_coder.Coder
    models.RETRY_TIMEOUT = base_coder.RETRY_TIMEOUT = RETRY_MAX_S
    coder.keyboard_interrupt = lambda _self: None
    _watch_litellm(LazyLiteLLM, session)
    _watch_errors(LiteLLMExceptions)
    _watch_send(coder, session)
    _watch_edits(coder, session)
    _watch_commits(GitRepo, session)
    _watch_commands(commands, base_coder, linter, session)


def _watch_litellm(lazy, session):
    load, lock = lazy._load_litellm, threading.Lock()

    def loaded(self):
        if session.meter.attached:
            return
        with interrupts.masked(), lock:
            if not session.meter.attached:
                load(self)
                session.meter.attach(self._lazy_module)

    lazy._load_litellm = loaded


def _watch_errors(exceptions):
    """Which errors aider tries again after: not those that waiting cannot mend, nor
    one whose provider asks for a longer wait than aider's own."""
    info = exceptions.get_ex_info

    def get_ex_info(self, error):
        found = info(self, error)
        kind = failures.kind(error)
        wait = failures.retry_after_ms(error)
        hopeless = kind in ("authentication", "not_found", "budget", "context")
        if found.retry and (hopeless or (wait or 0) > RETRY_MAX_S * 1000):
            return type(found)(found.name, False, found.description)
        if not found.name and kind in ("unavailable", "rate_limit"):
            return type(found)(type(error).__name__, True, None)
        return found

    exceptions.get_ex_info = get_ex_info


def _watch_send(coder, session):
    send, stream = coder.send, coder.show_send_output_stream

    def watched_send(self, *args, **kwargs):
        try:
            yield from send(self, *args, **kwargs)
            session.outcome(None)
        except Exception as e:
            session.outcome(e)
            raise

    def quiet_stream(self, completion):
        # Its text was passed on when the chunk came; what it prints is the same again.
        sys.stdout.muted = True
        try:
            yield from stream(self, completion)
        finally:
            sys.stdout.muted = False
            completion.close()

    coder.send = watched_send
    coder.show_send_output_stream = quiet_stream


def _read(path):
    """A file's text; None when there is no such file; a note when it is too large."""
    try:
        with open(path, "rb") as f:
            data = f.read(READ_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        return f"[{e.strerror}]"
    return data.decode("utf-8", "replace") if len(data) <= READ_MAX else f"[{len(data)} bytes]"


def _watch_edits(coder, session):
    from aider import coders

    prepare, apply, allowed = coder.prepare_to_edit, coder.apply_updates, coder.allowed_to_edit

    def prepare_to_edit(self, edits):
        before = {}
        for edit in edits:
            if edit[0] is not None and edit[0] not in before:
                before[edit[0]] = _read(self.abs_root_path(edit[0]))
        kept = prepare(self, edits)
        for path in dict.fromkeys(edit[0] for edit in kept if edit[0] is not None):
            full = self.abs_root_path(path)
            tool_id = session.updates.tool_id("edit")
            session.edits[tool_id] = (path, full, before.get(path))
            session.updates.tool_call(
                tool_id, f"Edit {path}", "edit", "in_progress", locations=[{"path": full}]
            )
        return kept

    def apply_updates(self):
        session.edits.clear()
        try:
            return apply(self)
        finally:
            with interrupts.masked():
                _finish_edits(session, self.reflected_message)

    def allowed_to_edit(self, path):
        full, root = os.path.realpath(self.abs_root_path(path)), os.path.realpath(self.root)
        inside = full == root or full.startswith(root + os.sep)
        if not inside and not self.io.confirm_ask(
            "Edit a file outside of the workspace?", subject=full, explicit_yes_required=True
        ):
            self.io.tool_output(f"Skipping edits to {path}")
            return None
        return allowed(self, path)

    def whole(apply_edits):
        # Files are written whole, even while a turn is being cancelled.
        def masked(self, *args, **kwargs):
            with interrupts.masked():
                return apply_edits(self, *args, **kwargs)

        return masked

    for kind in coders.__all__:
        if "apply_edits" in vars(kind):
            kind.apply_edits = whole(kind.apply_edits)
    coder.prepare_to_edit = prepare_to_edit
    coder.apply_updates = apply_updates
    coder.allowed_to_edit = allowed_to_edit


def _finish_edits(session, problem):
    """A file that changed was edited, even when another part of the answer failed."""
    for tool_id, (path, full, old) in session.edits.items():
        new = _read(full)
        if new is not None and new != old:
            content = [session.updates.diff_content(full, old, new)]
            session.updates.tool_update(tool_id, "completed", content=content)
        elif problem:
            content = [session.updates.text_content(problem[:4096])]
            session.updates.tool_update(tool_id, "failed", content=content)
        else:
            content = [session.updates.text_content(f"{path}: nothing to change")]
            session.updates.tool_update(tool_id, "completed", content=content)
    session.edits.clear()


def _watch_commits(repo_class, session):
    commit = repo_class.commit

    def watched(self, *args, **kwargs):
        done = commit(self, *args, **kwargs)
        if done:
            session.report_commits(self)
        return done

    repo_class.commit = watched


def _watch_commands(commands, base_coder, linter, session):
    from aider import prompts

    def run_cmd(command, verbose=False, error_print=None, cwd=None):
        return runner.run(session.updates, command, cwd)

    def run_cmd_subprocess(command, verbose=False, cwd=None, encoding=None):
        return runner.run(session.updates, command, cwd)

    def cmd_run(self, args, add_on_nonzero_exit=False):
        "Run a shell command and add its output to the chat (alias: !)"
        code, output = run_cmd(args, cwd=self.coder.root)
        if add_on_nonzero_exit and code == 0:
            return None
        lines = len(output.strip().splitlines())
        self.io.tool_output(f"Added {lines} line{'' if lines == 1 else 's'} of output to the chat.")
        message = prompts.run_output.format(command=args, output=output)
        self.coder.cur_messages += [
            {"role": "user", "content": message},
            {"role": "assistant", "content": "Ok."},
        ]
        return message if add_on_nonzero_exit else None

    def cmd_git(self, args):
        "Run a git command (output excluded from chat)"
        env = {"GIT_EDITOR": "true", "GIT_PAGER": "cat"}
        runner.run(session.updates, f"git {args}", self.coder.root, env=env)

    commands.run_cmd = base_coder.run_cmd = run_cmd
    linter.run_cmd_subprocess = run_cmd_subprocess
    commands.Commands.cmd_run = cmd_run
    commands.Commands.cmd_git = cmd_git
