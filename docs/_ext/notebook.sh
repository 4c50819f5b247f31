# Read by the shell of notebooks: a command that fails ends the cell, and output is as in a file.
set -e
unset FORCE_COLOR CLICOLOR CLICOLOR_FORCE
