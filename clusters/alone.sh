#!/bin/bash
# Shuts this machine down when no Ray has run on it for some minutes: a worker that has lost its
# head. The autoscaler was on the head, so nobody else would end it.
#
#   bash alone.sh [PROCESS [SECONDS [COMMAND]]]
process=${1:-raylet}
seconds=${2:-300}
command=${3:-sudo shutdown -h now}
since=$SECONDS
while [ $((SECONDS - since)) -lt "$seconds" ]; do
    if pgrep -x "$process" > /dev/null; then since=$SECONDS; fi
    sleep $((seconds > 10 ? 10 : 1))
done
echo "$(date): no $process for $seconds s: $command"
$command
