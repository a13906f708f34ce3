#!/bin/sh
# Makes ready for sandboxes, gives up every privilege for good, and becomes the command.
# In: a command. Out: that command as the user `ferry`, without a capability that it or
# anything below it could ever get back.
set -eu

# Linux mounts a new /proc in a sandbox only where the old one is fully visible, and
# Docker covers parts of it. `systempaths=unconfined` would do the same, but the older
# docker-compose does not know it. What was covered is root's alone; we are not root
# from here on.
awk '$5 ~ /^\/proc\// { print $5 }' /proc/self/mountinfo | sort -r | while read -r cover; do
    umount "$cover" || echo "builder: $cover cannot be uncovered; sandboxes may not work" >&2
done

export HOME=/var/lib/ferry
exec setpriv --reuid ferry --regid ferry --init-groups \
    --inh-caps=-all --bounding-set=-all --no-new-privs -- "$@"
