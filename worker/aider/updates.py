"""What happens in a session, told to the client as ACP session updates."""

import os
import re

from rpc import RpcError

TEXT_MAX = 32 * 1024  # of one chunk; longer text is sent in several
DIFF_MAX = 256 * 1024  # of each side of a diff; larger files are only named
COMMAND_TEXT_MAX = 64 * 1024
NOTICES_HELD_MAX = 1000

SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$")
SECRET_MIN = 12


def secrets():
    """Values that must never leave: keys in our environment. A short one is a
    placeholder of a server that needs none, and would blank out innocent words."""
    return [v for k, v in os.environ.items() if SECRET_NAME.search(k) and len(v) >= SECRET_MIN]


class Updates:
    def __init__(self, peer):
        self._peer = peer
        self._session_id = None
        self._held = []
        self._secrets = secrets()
        self._tool_calls = 0
        self.dollars = 0.0

    def open(self, session_id):
        """The client knows the session now: what was held is sent."""
        self._session_id = session_id
        held, self._held = self._held, []
        for update in held:
            self._send(update)

    def held_text(self):
        """The notices so far, for an error that ends a start."""
        return "\n".join(u["content"]["text"].strip() for u in self._held if "content" in u)

    def clean(self, text):
        text = str(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def message(self, text):
        self._chunks("agent_message_chunk", text)

    def user(self, text):
        self._chunks("user_message_chunk", text)

    def thought(self, text):
        self._chunks("agent_thought_chunk", text)

    def notice(self, text, level="info"):
        """A line of aider's own."""
        if text.strip():
            meta = {"100x": {"stream": "log", "level": level}}
            self._chunks("agent_thought_chunk", text.rstrip("\n") + "\n", meta)

    def tool_id(self, what):
        self._tool_calls += 1
        return f"{what}-{os.getpid()}-{self._tool_calls}"

    def tool_call(self, tool_id, title, kind, status, **fields):
        title = self.clean(title)
        update = {"sessionUpdate": "tool_call", "toolCallId": tool_id, "title": title}
        self._send({**update, "kind": kind, "status": status, **fields})

    def tool_update(self, tool_id, status, **fields):
        update = {"sessionUpdate": "tool_call_update", "toolCallId": tool_id, "status": status}
        self._send({**update, **fields})

    def text_content(self, text):
        return {"type": "content", "content": {"type": "text", "text": self.clean(text)}}

    def diff_content(self, path, old, new):
        """old None: the file is new. Falls back to words for what is too large."""
        if len(old or "") > DIFF_MAX or len(new) > DIFF_MAX:
            return self.text_content(f"{path}: {len(old or '')} → {len(new)} characters")
        diff = {"type": "diff", "path": path, "newText": self.clean(new)}
        if old is not None:
            diff["oldText"] = self.clean(old)
        return diff

    def commit(self, commit_hash, message, author):
        message = self.clean(message)
        subject = message.strip().split("\n", 1)[0]
        meta = {"commit": {"hash": commit_hash, "message": message, "author": author}}
        self.tool_call(
            self.tool_id("commit"),
            f"Commit {commit_hash[:7]} {subject}",
            "other",
            "completed",
            _meta={"100x": meta},
        )

    def usage(self, call, context_size):
        """call: what one call of a model used, with the protocol's field names."""
        self.dollars += call["dollars"] or 0.0
        used = call["tokens_in"] + call["tokens_out"]
        self._send(
            {
                "sessionUpdate": "usage_update",
                "used": used,
                "size": max(used, context_size or 0),
                "cost": {"amount": self.dollars, "currency": "USD"},
                "_meta": {"100x": {"usage": call}},
            }
        )

    def commands(self, commands):
        listed = [{"name": name, "description": text} for name, text in commands]
        self._send({"sessionUpdate": "available_commands_update", "availableCommands": listed})

    def ask_permission(self, tool_call, options):
        """Asks and waits; the chosen optionId, or None when the client cancelled."""
        params = {"sessionId": self._session_id, "toolCall": tool_call, "options": options}
        try:
            answer = self._peer.ask("session/request_permission", params).wait() or {}
        except RpcError as e:
            self.notice(f"Permission was not given: {e.message}", "warning")
            return None
        outcome = answer.get("outcome") or {}
        return outcome.get("optionId") if outcome.get("outcome") == "selected" else None

    @property
    def is_open(self):
        return self._session_id is not None

    def _chunks(self, kind, text, meta=None):
        text = self.clean(text)
        for at in range(0, len(text), TEXT_MAX):
            content = {"type": "text", "text": text[at : at + TEXT_MAX]}
            update = {"sessionUpdate": kind, "content": content}
            if meta:
                update["_meta"] = meta
            self._send(update)

    def _send(self, update):
        if self._session_id is None:
            if len(self._held) < NOTICES_HELD_MAX:
                self._held.append(update)
            return
        self._peer.notify("session/update", {"sessionId": self._session_id, "update": update})
