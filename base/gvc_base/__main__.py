"""`python -m gvc_base`: the same as `gvc-base`, for where scripts are not on the PATH."""

from gvc_base.cli import main

main()
