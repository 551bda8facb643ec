"""Errors that a user can fix."""

import errno

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # numbers of an OSError


class UserError(Exception):
    """An error that the user can fix; its message names the thing and what is allowed.

    The command line and the workflow print only the message, without a traceback.
    """
