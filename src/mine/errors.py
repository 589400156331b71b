"""The error that is shown to a user as one sentence."""


class InputError(ValueError):
    """Bad input from outside: a config key, a path, a file.

    The message is one clear sentence that names the file or the key, says what was expected and
    what was found. Faults of the program itself are left to Python's own exceptions.
    """


def describe_error(error: Exception) -> str:
    """Return what an error of a library says, as a part of a sentence: its first line, since others
    ask or advise; of one without a word its name."""
    return str(error).partition("\n")[0].strip() or type(error).__name__
