#!/bin/bash
# Runs a command, and again where it ends with 75, which says that the infrastructure failed: at most
# once more for each of the pauses, in seconds. Then, as with any other status, it ends with that.
#
#   [AGAIN_SECONDS='60 300 900'] bash again.sh COMMAND ...
for pause in ${AGAIN_SECONDS-60 300 900}; do
    "$@"
    status=$?
    if [ "$status" -ne 75 ]; then exit "$status"; fi
    echo "$(date): it ended with 75: once more in $pause s"
    sleep "$pause"
done
exec "$@"
