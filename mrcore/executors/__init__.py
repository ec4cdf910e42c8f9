"""Ways to run a task: in this process, or in worker processes."""
