"""The value of one more synthetic training image, compared with a real one."""

__version__ = "0.1.0"
