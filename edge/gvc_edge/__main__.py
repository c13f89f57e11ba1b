"""`python -m gvc_edge`: the same as `gvc-edge`, for where scripts are not on the PATH."""

from gvc_edge.cli import main

main()
