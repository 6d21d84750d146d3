"""Which of aider's own options a user may add, checked with aider's own parser."""

import contextlib
import importlib.util
import os
import re
import shlex
import sys
import types
from pathlib import Path

_MODEL = "the model is chosen under Settings → Models"
_KEY = "keys belong in ~/.env"
_BASE = "provider settings belong in ~/.env"
_ENDS = "aider would do this and end"
_SESSION = "the session keeps this in its own folder"
_ISOLATED = "configuration files are not read, so that a repository cannot change them"
_TERMINAL = "aider has no terminal or desktop here"

# Refused however they are used.
REFUSED = {
    "model": _MODEL,
    "openai_api_key": _KEY,
    "anthropic_api_key": _KEY,
    "api_key": _KEY,
    "set_env": "variables belong in ~/.env",
    "openai_api_base": _BASE,
    "openai_api_type": _BASE,
    "openai_api_version": _BASE,
    "openai_api_deployment_id": _BASE,
    "openai_organization_id": _BASE,
    "help": _ENDS,
    "version": _ENDS,
    "list_models": _ENDS,
    "just_check_update": _ENDS,
    "install_main_branch": "aider's version is pinned",
    "upgrade": "aider's version is pinned",
    "shell_completions": _ENDS,
    "exit": _ENDS,
    "show_repo_map": _ENDS,
    "show_prompts": _ENDS,
    "lint": _ENDS,
    "test": _ENDS,
    "commit": _ENDS,
    "message": "instructions come from the task and its manager",
    "message_file": "instructions come from the task and its manager",
    "load": "instructions come from the task and its manager",
    "apply": _ENDS,
    "apply_clipboard_edits": _TERMINAL,
    "copy_paste": _TERMINAL,
    "gui": _TERMINAL,
    "config": _ISOLATED,
    "env_file": _ISOLATED,
    "yes_always": "the task's permission setting answers aider's questions",
    "input_history_file": _SESSION,
    "chat_history_file": _SESSION,
    "llm_history_file": _SESSION,
    "analytics_log": "analytics are off",
    "analytics_posthog_host": "analytics are off",
    "analytics_posthog_project_api_key": "analytics are off",
    "notifications_command": _TERMINAL,
    "dry_run": "aider would change nothing",
}

# Refused with this value; the opposite form ("--no-…") may be given.
REFUSED_VALUES = {
    "check_update": (True, "aider's version is pinned"),
    "show_release_notes": (True, _TERMINAL),
    "analytics": (True, "analytics are off"),
    "restore_chat_history": (True, "the session restores its own conversation"),
    "git": (False, "agents work on a git branch"),
    "gitignore": (True, "the repository's .gitignore is left alone"),
    "pretty": (True, _TERMINAL),
    "fancy_input": (True, _TERMINAL),
    "watch_files": (True, _TERMINAL),
    "notifications": (True, _TERMINAL),
    "multiline": (True, _TERMINAL),
}


_EDIT_FORMAT = re.compile(r'^    edit_format = "([\w-]+)"', re.M)


class BadArguments(Exception):
    """The text is for the person who wrote the arguments."""


def split(text):
    try:
        return shlex.split(text)
    except ValueError as e:
        raise BadArguments(f"aider arguments: {e}") from e


@contextlib.contextmanager
def _quick_coders():
    """aider's parser needs only the names of the edit formats: they are read from the
    sources, since importing all coders takes most of a second."""
    if "aider.coders" in sys.modules:
        yield
        return
    folder = Path(importlib.util.find_spec("aider").origin).parent / "coders"
    names = set()
    for source in folder.glob("*.py"):
        names |= set(_EDIT_FORMAT.findall(source.read_text(encoding="utf-8")))
    stand_in = types.ModuleType("aider.coders")
    stand_in.__all__ = [types.SimpleNamespace(edit_format=name) for name in sorted(names)]
    package = sys.modules.get("aider") or __import__("aider")
    sys.modules["aider.coders"] = stand_in
    package.coders = stand_in
    try:
        yield
    finally:
        del sys.modules["aider.coders"]
        del package.coders


def _parser():
    with _quick_coders():
        from aider.args import get_parser

        parser = get_parser([], None)
    parser.allow_abbrev = False
    parser._auto_env_var_prefix = None
    parser._open_config_files = lambda _arguments: []
    for action in parser._actions:
        action.env_var = None
    return parser


def check(arguments):
    """Raises BadArguments for the first one that cannot be used."""
    from aider.deprecated import add_deprecated_model_args

    parser = _parser()
    shortcuts = _Collector()
    add_deprecated_model_args(None, shortcuts)
    take = parser._get_values

    def refuse(action, reason):
        longs = [s for s in action.option_strings if s.startswith("--")]
        name = longs[0] if longs else action.option_strings[0]
        raise BadArguments(f"aider argument {name} cannot be used: {reason}")

    def checked(action, strings):
        if set(action.option_strings) & shortcuts.options:
            refuse(action, _MODEL)
        if action.dest in REFUSED and action.option_strings:
            refuse(action, REFUSED[action.dest])
        return take(action, strings)

    def error(message):
        raise BadArguments(f"aider arguments: {message}")

    parser._get_values = checked
    parser.error = error
    before = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith("AIDER_")}
    try:
        parsed, unknown = parser.parse_known_args(arguments)
    except SystemExit as e:
        raise BadArguments("aider arguments: not understood") from e
    finally:
        os.environ.update(before)
    if unknown:
        raise BadArguments(f"aider does not know the argument {unknown[0]}")
    given = set(arguments)
    for action in parser._actions:
        bad, reason = REFUSED_VALUES.get(action.dest, (None, None))
        if reason and set(action.option_strings) & given and getattr(parsed, action.dest) is bad:
            refuse(action, reason)


class _Collector:
    """Stands in for an argument group and keeps the option names."""

    def __init__(self):
        self.options = set()

    def add_argument(self, *names, **_):
        self.options |= set(names)
