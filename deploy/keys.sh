#!/bin/sh
# Makes the keys that are missing and gives each container its own: the users of the
# bus, the admin's API token, the webhook's secret. In: nothing. Out: files in the
# volumes below /run/ferry, nats-server's configuration (public keys only), and the
# token's hash for ferry.toml. What is there stays.
set -eu
umask 077

ferry bus users --dir /run/ferry/keys \
    --server-config /etc/nats/nats-server.conf --host 0.0.0.0 --store-dir /data
for seed in /run/ferry/keys/*.nk; do
    user=$(basename "$seed" .nk)
    install -m 0400 "$seed" "/run/ferry/$user/$user.nk"
done

token=/run/ferry/admin/token
if [ ! -s "$token" ]; then
    made=$(ferry token new admin --role admin)
    # The hash first: a token without it would be kept and never accepted.
    printf '%s\n' "$made" | sed '1,/^This token/d' >/etc/ferry/conf.d/tokens.toml
    printf '%s\n' "$made" | sed -n 1p >"$token.new"
    mv "$token.new" "$token"
fi

secret=/run/ferry/gateway/hello-webhook
if [ ! -s "$secret" ]; then
    head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$secret.new"
    mv "$secret.new" "$secret"
fi
