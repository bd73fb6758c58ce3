"""The tasks that come with evo-kernel, one file each."""
