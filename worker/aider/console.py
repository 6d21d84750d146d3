"""aider's input and output: what it says becomes session updates, what it asks
becomes permission requests. Nothing is read from or drawn on a terminal."""

import os
import re

from aider.io import InputOutput

# Questions that change nothing by themselves; asked only under --permission ask.
_ROUTINE = re.compile(
    r"^(Attempt to fix|Fix lint errors|Try to proceed anyway|Edit the files"
    r"|Add command output to the chat)"
)
# What the adapter's own rules answer, whatever the permission: never.
_NEVER = re.compile(
    r"pip install|Install playwright|^Open |anonymous analytics|OpenRouter|\.gitignore"
)

_KINDS = (
    (re.compile(r"Create new file|Allow edits|No files matched|Edit a file"), "edit"),
    (re.compile(r"Run shell command"), "execute"),
    (re.compile(r"Add file to the chat"), "read"),
    (re.compile(r"Add URL"), "fetch"),
)


def kind_of(question):
    for pattern, kind in _KINDS:
        if pattern.search(question):
            return kind
    return "other"


class Console(InputOutput):
    updates = None  # set before aider makes one
    permission = "ask"
    in_command = False  # a slash command's plain output is the answer to it

    def __init__(self, *args, **kwargs):
        self._starting = True
        super().__init__(*args, **kwargs)
        self._starting = False
        self.pretty = False
        self.yes = None

    def _say(self, message, level, strip=True):
        message = str(message)
        for line in message.splitlines():
            if line.strip():
                self.append_chat_history(line, linebreak=True, blockquote=True, strip=strip)
        if not message.strip() or self._starting:
            return
        if self.in_command and level == "info":
            self.updates.message(message.rstrip("\n") + "\n")
        else:
            self.updates.notice(message, level)

    def tool_output(self, *messages, log_only=False, bold=False):
        if not log_only:
            self._say(" ".join(str(m) for m in messages), "info")

    def tool_error(self, message="", strip=True):
        self.num_error_outputs += 1
        self._say(message, "error", strip)

    def tool_warning(self, message="", strip=True):
        self._say(message, "warning", strip)

    def assistant_output(self, message, pretty=None):
        if message:
            self.updates.message(message)
        else:
            self.tool_warning("Empty response received from LLM. Check your provider account?")

    def user_input(self, inp, log_only=True):
        super().user_input(inp, log_only=True)

    def print(self, message=""):
        self._say(message, "info")

    def llm_started(self):
        self.in_command = False  # from here on it is a conversation

    def rule(self):
        pass

    def ring_bell(self):
        pass

    def get_input(self, *args, **kwargs):
        raise EOFError  # prompts come by session/prompt alone

    def offer_url(self, url, prompt="Open URL for more info?", allow_never=True):
        return False

    def prompt_ask(self, question, default="", subject=None):
        self._say(f"{question.strip()} {default}", "info")
        return default

    def confirm_ask(
        self,
        question,
        default="y",
        subject=None,
        explicit_yes_required=False,
        group=None,
        allow_never=False,
    ):
        self.num_user_asks += 1
        key = (question, subject)
        if key in self.never_prompts or _NEVER.search(question) or not self.updates.is_open:
            return False
        if self.permission == "allow" and _ROUTINE.search(question):
            return True
        if group and not group.show_group:
            group = None
        if group and group.preference:
            choice = "yes" if group.preference == "all" else "no"
        else:
            choice = self._ask(question, subject, explicit_yes_required, group, allow_never)
        self.append_chat_history(
            f"{question.strip()} {subject or ''} {choice}", linebreak=True, blockquote=True
        )
        if choice == "all":
            group.preference = "all"
        elif choice == "skip":
            group.preference = "skip"
        elif choice == "never":
            self.never_prompts.add(key)
        return choice in ("yes", "all")

    def _ask(self, question, subject, explicit_yes_required, group, allow_never):
        options = [{"optionId": "yes", "name": "Yes", "kind": "allow_once"}]
        if group and not explicit_yes_required:
            options.append({"optionId": "all", "name": "Yes to all", "kind": "allow_always"})
        options.append({"optionId": "no", "name": "No", "kind": "reject_once"})
        if group:
            options.append({"optionId": "skip", "name": "No to all", "kind": "reject_always"})
        elif allow_never:
            options.append({"optionId": "never", "name": "Never", "kind": "reject_always"})
        kind = kind_of(question)
        title = question.strip() + (f" {subject}" if subject else "")
        call = {
            "toolCallId": self.updates.tool_id("ask"),
            "title": self.updates.clean(title)[:1000],
            "kind": kind,
            "status": "pending",
        }
        if subject:
            call["content"] = [self.updates.text_content(subject)]
        if subject and kind in ("edit", "read"):
            call["locations"] = [{"path": os.path.realpath(subject)}]
        return self.updates.ask_permission(call, options) or "no"
