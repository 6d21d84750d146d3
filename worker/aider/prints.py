"""What aider and its libraries print."""


class Prints:
    """Stands in for sys.stdout: aider's and its libraries' prints become notices,
    whole lines at a time."""

    encoding = "utf-8"
    errors = "replace"
    LINE_MAX = 8192

    def __init__(self, updates):
        self._updates = updates
        self._line = ""
        self.muted = False

    def write(self, text):
        if not self.muted:
            self._line += text
            *lines, self._line = self._line.split("\n")
            for line in lines:
                self._updates.notice(line)
            if len(self._line) > self.LINE_MAX:
                self.flush_line()
        return len(text)

    def flush_line(self):
        line, self._line = self._line, ""
        self._updates.notice(line)

    def flush(self):
        pass

    def isatty(self):
        return False

    def writable(self):
        return True

    def fileno(self):
        return 1
