"""What a user can mend."""

import errno

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # numbers of an OSError


class UserError(Exception):
    """Something the user can mend; its message names the thing and what is allowed.

    The command line and the workflow print the message alone, without a traceback.
    """
