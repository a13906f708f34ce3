#!/bin/sh
# The demo's git server: a bare repository in a volume. In: nothing, or the name of a
# folder in demo/hello-changes. Out: the repository with demo/hello as its first commit,
# or that change pushed to it.
set -eu
bare=/srv/git/hello.git
work=/tmp/hello
export GIT_AUTHOR_NAME="Ferry demo" GIT_AUTHOR_EMAIL=demo@ferry.example
export GIT_COMMITTER_NAME="Ferry demo" GIT_COMMITTER_EMAIL=demo@ferry.example
rm -rf "$work"

# Pushes everything in the work clone, with this message.
push() {
    git -C "$work" add --all
    git -C "$work" commit --quiet --message "$1"
    git -C "$work" push --quiet origin HEAD:refs/heads/main
    git -C "$work" log -1 --format='main is %h: %s'
}

if [ ! -d "$bare" ]; then
    # It appears under its name when it is whole.
    rm -rf "$bare.new"
    git init --quiet --bare --initial-branch=main "$bare.new"
    git clone --quiet "$bare.new" "$work" 2>/dev/null
    cp -R /demo/hello/. "$work"
    rm -rf "$work/target"
    push "Add the module"
    mv "$bare.new" "$bare"
    rm -rf "$work"
fi

if [ $# -gt 0 ]; then
    git clone --quiet "$bare" "$work"
    cp -R "/demo/hello-changes/$1/." "$work"
    push "Change: $1"
fi
