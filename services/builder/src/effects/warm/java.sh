#!/bin/sh
# Maven's launcher takes this for java. It starts the worker in the same JVM, with the same options, properties,
# arguments and environment, and with the builder's requests and replies out of the way: what Maven and its
# children see as input, output and error is what they see without a worker.
export JAVA_HOME=@JAVA_HOME@
left=$# path= main=
while [ "$left" -gt 0 ]; do
  word=$1 left=$((left - 1))
  shift
  if [ -n "$path" ]; then
    word=${0%/bin/java}:$word path=
  elif [ -z "$main" ]; then
    case "$word" in
    -classpath | -cp) path=1 ;;
    org.codehaus.plexus.classworlds.launcher.Launcher)
      main=1
      set -- "$@" ferry.warm.Worker
      ;;
    esac
  fi
  set -- "$@" "$word"
done
exec "$JAVA_HOME/bin/java" "$@" 4<&0 0</dev/null 3>&1 1>&2
