"""Messages to people: the channels that carry them and the queue that never loses one."""
