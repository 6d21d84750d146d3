"""One conversation with aider: start, turns, cancel, and its state on disk.

aider runs in the main thread, where a signal can interrupt it; the methods that
the client calls are put into a queue that `run` works off there.
"""

import gc
import json
import os
import queue
import sys
import threading
import time
import traceback
import uuid
from pathlib import Path

import arguments
import failures
import hooks
import interrupts
from metering import Meter
from rpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, RpcError
from updates import Updates

PROTOCOL_VERSION = 1
STATE_VERSION = 1
PROVIDER_ERROR = -32000
NOT_FOUND = -32002  # ACP's "resource not found"
COMMITS_MAX = 50  # told at the end of a turn that made them by /git or /run

# aider's slash commands that work here, with what they do.
COMMANDS = {
    "add": "Add files to the chat",
    "architect": "Plan with one model, edit with another",
    "ask": "Ask about the code without editing",
    "clear": "Forget the conversation",
    "code": "Ask for changes",
    "commit": "Commit edits made outside of the chat",
    "context": "Find the files that matter",
    "diff": "Show the changes since the last message",
    "drop": "Remove files from the chat",
    "git": "Run a git command; its output stays out of the chat",
    "lint": "Lint and fix files",
    "ls": "List the files, and which are in the chat",
    "map": "Show the repository map",
    "map-refresh": "Rebuild the repository map",
    "read-only": "Add files to the chat for reading",
    "reasoning-effort": "Set the reasoning effort",
    "reset": "Drop all files and forget the conversation",
    "run": "Run a shell command and add its output to the chat",
    "test": "Run a command; if it fails, its output goes to the model",
    "think-tokens": "Set the thinking token budget",
    "tokens": "Show what the chat's context consists of",
    "undo": "Undo aider's last commit",
}


class Session:
    def __init__(self, peer, session_dir, model, permission, extra):
        self._peer = peer
        self._dir = Path(session_dir)
        self._model = model
        self._permission = permission
        self._extra = extra
        self._jobs = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._busy = False  # a prompt is queued or running
        self._cancelled = False
        self._coder = None
        self._id = None
        self._error = None
        self._head = None
        self.updates = Updates(peer)
        self.meter = Meter(self.updates, self._context_size)
        self.edits = {}  # of the answer being applied: tool id → (path, full path, old text)

    # From the reading thread.

    def handle(self, method, params, request_id):
        if method == "initialize":
            self._peer.answer(request_id, self._initialize())
        elif method == "session/cancel":
            self._cancel(params)
        elif method in ("session/new", "session/load", "session/prompt"):
            if request_id is None:
                raise RpcError(INVALID_REQUEST, f"{method} must have an id")
            if method == "session/prompt":
                with self._lock:
                    if self._busy:
                        raise RpcError(INVALID_REQUEST, "a turn is running already")
                    self._busy, self._cancelled = True, False
            self._jobs.put((method, params, request_id))
        elif request_id is not None:
            raise RpcError(METHOD_NOT_FOUND, f"no such method: {method}")

    def _initialize(self):
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "agentCapabilities": {
                "loadSession": True,
                "promptCapabilities": {"image": False, "audio": False, "embeddedContext": True},
            },
            "agentInfo": {"name": "aider", "title": "aider", "version": hooks.aider_version()},
            "authMethods": [],
        }

    def _cancel(self, params):
        with self._lock:
            if not self._busy or params.get("sessionId") != self._id or self._cancelled:
                return
            self._cancelled = True
        self._peer.abandon()
        interrupts.request()

    # In the main thread.

    def run(self):
        while True:
            method, params, request_id = self._jobs.get()
            try:
                if method == "session/new":
                    self._new(params, request_id)
                elif method == "session/load":
                    self._load(params, request_id)
                else:
                    result = self._prompt(params)
                    self._idle()
                    self._peer.answer(request_id, result)
            except RpcError as e:
                self._idle()
                self._peer.fail(request_id, e)
            except Exception as e:  # one bad request must not end the session
                traceback.print_exc()
                self._idle()
                text = f"aider failed: {type(e).__name__}: {failures.describe(e)}"
                self._peer.fail(request_id, RpcError(INTERNAL_ERROR, self.updates.clean(text)))

    def _idle(self):
        with self._lock:
            self._busy = False

    def _new(self, params, request_id):
        self._start(params)
        self._id = str(uuid.uuid4())
        self._save()
        self._peer.answer(request_id, {"sessionId": self._id})
        self._opened()

    def _load(self, params, request_id):
        state = self._read_state()
        if state is None or state["session_id"] != params.get("sessionId"):
            raise RpcError(NOT_FOUND, f"no such session: {params.get('sessionId')}")
        self._start(params)
        self._restore(state)
        self._id = state["session_id"]
        self.updates.open(self._id)
        for message in self._coder.done_messages + self._coder.cur_messages:
            text = message.get("content")
            if isinstance(text, str) and message.get("role") == "user":
                self.updates.user(text)
            elif isinstance(text, str) and message.get("role") == "assistant":
                self.updates.message(text)
        self._peer.answer(request_id, {})
        self._opened()

    def _opened(self):
        self.updates.open(self._id)
        self._coder.show_announcements()
        self.updates.commands(sorted(COMMANDS.items()))
        # LiteLLM takes seconds to import: done while nobody waits for it.
        threading.Thread(target=_warm, daemon=True).start()

    def _start(self, params):
        if self._coder is not None:
            raise RpcError(INVALID_REQUEST, "this process has a session already")
        cwd = params.get("cwd")
        if not isinstance(cwd, str) or not os.path.isabs(cwd) or not os.path.isdir(cwd):
            raise RpcError(INVALID_PARAMS, f"cwd is not a folder: {cwd}")
        try:
            arguments.check(self._extra)
        except arguments.BadArguments as e:
            raise RpcError(INVALID_PARAMS, str(e)) from e
        os.chdir(cwd)
        self._dir.mkdir(parents=True, exist_ok=True)
        self._coder = self._make_coder(cwd)
        self._head = self._head_commit()

    def _make_coder(self, cwd):
        import aider.main

        from console import Console

        Console.updates = self.updates
        Console.permission = self._permission
        hooks.after_import(self._dir, Console)
        hooks.watch(self)
        try:
            coder = aider.main.main(
                self._arguments(), force_git_root=cwd, return_coder=True
            )
        except SystemExit as e:
            coder = e.code
        if not hasattr(coder, "run_one"):
            why = self.updates.held_text() or f"it ended with {coder}"
            raise RpcError(INVALID_PARAMS, f"aider did not start: {why}")
        return coder

    def _arguments(self):
        given = set(a.split("=", 1)[0] for a in self._extra)
        base = ["--model", self._model]
        for option in ("--weak-model", "--editor-model"):
            if option not in given:
                base += [option, self._model]
        # By default aider takes these two from the repository.
        base += ["--model-settings-file", os.devnull, "--model-metadata-file", os.devnull]
        base += ["--no-auto-lint", "--no-suggest-shell-commands", "--no-detect-urls"]
        # After the user's: what the adapter stands on.
        fixed = ["--no-pretty", "--no-fancy-input", "--no-check-update"]
        fixed += ["--no-show-release-notes", "--no-show-model-warnings", "--no-analytics"]
        fixed += ["--no-gitignore", "--disable-playwright", "--no-notifications"]
        fixed += ["--no-restore-chat-history", "--no-watch-files", "--git"]
        fixed += ["--chat-history-file", str(self._dir / "chat.md")]
        fixed += ["--input-history-file", str(self._dir / "input")]
        return base + self._extra + fixed

    def _prompt(self, params):
        if self._coder is None or params.get("sessionId") != self._id:
            raise RpcError(INVALID_PARAMS, f"no such session: {params.get('sessionId')}")
        text = _prompt_text(params.get("prompt"))
        self._error = None
        failed = None
        try:
            interrupts.arm()
            if self._cancelled:
                raise KeyboardInterrupt
            self._turn(text)
            interrupts.disarm()
        except KeyboardInterrupt:
            pass
        except SystemExit:
            self.updates.notice("aider asked to end; the session goes on.", "warning")
        except Exception as e:  # aider's bugs end a turn, not the session
            traceback.print_exc()
            failed = e
        interrupts.disarm()
        sys.stdout.flush_line()
        self._coder.io.in_command = False
        self._coder.io.placeholder = None
        self._after_turn()
        if self._cancelled:
            return {"stopReason": "cancelled"}
        if failed is not None:
            raise failed
        return self._stop_reason()

    def _turn(self, text):
        from aider.commands import SwitchCoder

        if text.startswith("/"):
            if not self._command_allowed(text):
                return
            self._coder.io.in_command = True
        try:
            self._coder.run(with_message=text)
        except SwitchCoder as switch:
            wanted = dict(io=self._coder.io, from_coder=self._coder)
            wanted.update(switch.kwargs)
            announce = wanted.pop("show_announcements", None)
            self._coder = self._coder.create(**wanted)
            if announce is not False:
                self._coder.show_announcements()

    def _command_allowed(self, text):
        """Says what is wrong with a command that does not work here."""
        found = self._coder.commands.matching_commands(text)
        names, word, _rest = found if found else ([], text, "")
        name = word if word in names else names[0] if len(names) == 1 else None
        if name is None or name[1:] in COMMANDS:
            return True  # aider itself says that it is unknown or ambiguous
        self.updates.message(f"{name} cannot be used here.\n")
        return False

    def _stop_reason(self):
        error = self._error
        if error is None:
            coder = self._coder
            asked_again = getattr(coder, "reflected_message", None)  # set by its first message
            stuck = asked_again and coder.num_reflections >= coder.max_reflections
            return {"stopReason": "max_turn_requests" if stuck else "end_turn"}
        if type(error).__name__ == "FinishReasonLength":
            return {"stopReason": "max_tokens"}
        data = {"kind": failures.kind(error)}
        wait = failures.retry_after_ms(error)
        if wait is not None:
            data["retry_after_ms"] = wait
        text = self.updates.clean(failures.describe(error))
        raise RpcError(PROVIDER_ERROR, text, {"100x": data})

    def _after_turn(self):
        """What a turn leaves behind: commits not told yet, and the state on disk."""
        try:
            if self._coder.repo and self._head_commit() != self._head:
                self.report_commits(self._coder.repo)
            self._save()
        except Exception as e:
            traceback.print_exc()
            self.updates.notice(f"The session could not be saved: {e}", "error")

    # Told by the hooks.

    def outcome(self, error):
        """How a call of the main model went; the last one decides the turn."""
        self._error = error

    def report_commits(self, repo):
        """The commits since those told before, oldest first."""
        head = repo.repo.head.commit
        fresh = []
        for commit in repo.repo.iter_commits(head, max_count=COMMITS_MAX):
            if commit.hexsha == self._head:
                break
            fresh.append(commit)
            if self._head is None:
                break
        else:
            fresh = fresh[:1]  # the branch was rewritten: only where it is now
        self._head = head.hexsha
        for commit in reversed(fresh):
            message = commit.message
            if isinstance(message, bytes):
                message = message.decode("utf-8", "replace")
            author = f"{commit.author.name} <{commit.author.email}>"
            self.updates.commit(commit.hexsha, message.rstrip("\n"), author)

    def _head_commit(self):
        repo = self._coder.repo
        return repo.get_head_commit_sha() if repo else None

    def _context_size(self):
        return self._coder.main_model.info.get("max_input_tokens") if self._coder else None

    # The state on disk.

    @property
    def _state_path(self):
        return self._dir / "session.json"

    def _save(self):
        coder = self._coder
        root = Path(coder.root)
        state = {
            "version": STATE_VERSION,
            "session_id": self._id,
            "edit_format": coder.edit_format,
            "files": sorted(os.path.relpath(f, root) for f in coder.abs_fnames),
            "read_only": sorted(coder.abs_read_only_fnames),
            "done_messages": coder.done_messages,
            "cur_messages": coder.cur_messages,
            "commits": sorted(coder.aider_commit_hashes),
            "tokens_sent": coder.total_tokens_sent,
            "tokens_received": coder.total_tokens_received,
            "dollars": self.updates.dollars,
            "saved_at": time.time(),
        }
        part = self._state_path.with_suffix(".part")
        with open(part, "w", encoding="utf-8", errors="replace") as f:
            json.dump(state, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, self._state_path)

    def _read_state(self):
        try:
            state = json.loads(self._state_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as e:
            raise RpcError(INTERNAL_ERROR, f"{self._state_path} cannot be read: {e}") from e
        return state if state.get("version") == STATE_VERSION else None

    def _restore(self, state):
        coder = self._coder
        if state["edit_format"] != coder.edit_format:
            coder = self._coder = coder.create(
                io=coder.io,
                from_coder=coder,
                edit_format=state["edit_format"],
                summarize_from_coder=False,
            )
        files = [coder.abs_root_path(name) for name in state["files"]]
        coder.abs_fnames.update(f for f in files if os.path.isfile(f))
        coder.abs_read_only_fnames.update(f for f in state["read_only"] if os.path.isfile(f))
        coder.done_messages = state["done_messages"]
        coder.cur_messages = state["cur_messages"]
        coder.aider_commit_hashes.update(state["commits"])
        coder.total_tokens_sent = state["tokens_sent"]
        coder.total_tokens_received = state["tokens_received"]
        coder.total_cost = self.updates.dollars = state["dollars"]


def _prompt_text(blocks):
    """The text of a prompt's blocks; ACP allows text and links everywhere."""
    if not isinstance(blocks, list):
        raise RpcError(INVALID_PARAMS, "prompt must be a list of content blocks")
    parts = []
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text":
            parts.append(str(block.get("text", "")))
        elif kind == "resource_link":
            parts.append(str(block.get("uri", "")))
        elif kind == "resource":
            parts.append(str((block.get("resource") or {}).get("text", "")))
        else:
            raise RpcError(INVALID_PARAMS, f"content of type {kind} is not understood")
    text = "\n".join(parts)
    if not text.strip():
        raise RpcError(INVALID_PARAMS, "the prompt is empty")
    return text


def _warm():
    from aider.llm import litellm

    litellm._load_litellm()
    try:
        import networkx  # noqa: F401
        import numpy  # noqa: F401
    except ImportError:
        pass
    gc.freeze()
    gc.enable()
