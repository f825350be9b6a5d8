"""The value of one more synthetic training image, compared with a real one."""
