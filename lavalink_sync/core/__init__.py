"""What to decide: values in, values out.

Nothing in here knows of threads, sockets, clocks or the libraries around them, so every rule is tested with values.
"""
