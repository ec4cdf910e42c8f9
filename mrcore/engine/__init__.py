"""One attempt of one task: splits, the map task, the reduce task. No scheduler in sight."""
