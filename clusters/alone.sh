#!/bin/bash
# Shuts this machine down when no Ray has run on it for some minutes: a worker that has lost its
# head. The autoscaler was on the head, so nobody else would end it. Until Ray has run once, which
# the head starts when all is installed, it waits for longer.
#
#   bash alone.sh [PROCESS [SECONDS [COMMAND [FIRST_SECONDS]]]]
process=${1:-raylet}
seconds=${2:-300}
command=${3:-sudo shutdown -h now}
most=${4:-1800}
since=$SECONDS
while [ $((SECONDS - since)) -lt "$most" ]; do
    if pgrep -x "$process" > /dev/null; then since=$SECONDS most=$seconds; fi
    sleep $((seconds > 10 ? 10 : 1))
done
echo "$(date): no $process for $most s: $command"
$command
