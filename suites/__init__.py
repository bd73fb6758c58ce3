"""What to compute: tasks, their cases and inputs, and where tasks come from."""

from suites.loading import TaskError, load, names, read
from suites.task import FLOATING, Case, Input, Seed, Task, edge

__all__ = ["FLOATING", "Case", "Input", "Seed", "Task", "TaskError", "edge", "load", "names", "read"]
