"""What every process of a private Ray imports before its work (Ray's `preload_python_modules`)."""

from seedbed.collecting import seldom

seldom()
