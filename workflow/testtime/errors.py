class UserError(Exception):
    """Something the user can mend; its message names the thing and what is allowed.

    The command line and the workflow print the message alone, without a traceback.
    """
