#!/bin/bash
# Whether something in this container is well. In: a port, and a path to ask for by
# HTTP; without a path it is a nats-server, which speaks first. Out: an exit code, and
# what was answered.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$1"
if [ $# -gt 1 ]; then
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
fi
read -r -t 3 line <&3
case "$line" in
    "HTTP/1."*" 200"* | INFO*) ;;
    *)
        echo "$line"
        # The body says why.
        timeout 1 cat <&3 || true
        exit 1
        ;;
esac
