"""What a test raises in place of an interruption of a job."""


class Killed(Exception):
    pass
