"""The one exception that users see as one line."""


class Refused(Exception):
    """Something the user must change: a wrong path, an unknown key, a missing model.

    The message is one line that names file and field. The command line prints it without a
    traceback and exits with 2.
    """
