"""What can go wrong, as one tree; every message says what, where, expected and found."""


class AtopTimelineError(Exception):
    """Anything that this project raises on purpose."""


class WrongParser(AtopTimelineError, ValueError):  # noqa: N818  Plaso's name
    """The bytes are not an atop raw log: no fault, the next file's turn."""


class UnknownLayout(AtopTimelineError, ValueError):  # noqa: N818  says what is, as WrongParser does
    """An atop raw log whose structures have sizes that no known atop writes."""


class EvidenceError(AtopTimelineError, OSError):
    """A piece of evidence, or a part of it, cannot be opened or read."""


class OutputError(AtopTimelineError, OSError):
    """The result cannot be written where it was asked for."""


class UsageError(AtopTimelineError, ValueError):
    """The command was asked for something that it does not have."""


class StoreError(AtopTimelineError, OSError):
    """The temporary store has no room, in memory or on disk."""


class UploadError(AtopTimelineError, OSError):
    """A server does not take the timeline, or not all of it."""


class ClusterError(AtopTimelineError, OSError):
    """A cluster does not answer, or cannot do the work."""
