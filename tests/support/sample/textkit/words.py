"""Small questions about a text."""


def lines(text):
    """The lines of a text that are not blank."""
    return [line for line in text.splitlines() if line.strip()]
