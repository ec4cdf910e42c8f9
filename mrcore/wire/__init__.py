"""Messages between coordinator and workers. Sans-IO: bytes in, messages out, no sockets."""
