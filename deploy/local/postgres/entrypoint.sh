#!/bin/sh
# As much of the official image's start as the demo needs: a cluster with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB,
# and the files of /docker-entrypoint-initdb.d, once.
set -eu
export PATH="/usr/lib/postgresql/17/bin:$PATH"
data=/var/lib/postgresql/data

if [ "$(id -u)" = 0 ]; then
    grep -q "^postgres:" /etc/passwd || echo "postgres:x:999:999::/var/lib/postgresql:/bin/sh" >> /etc/passwd
    mkdir -p "$data" /var/run/postgresql
    chown -R 999:999 "$data" /var/run/postgresql
    exec setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
    printf '%s' "$POSTGRES_PASSWORD" > /tmp/password
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust \
        --encoding=UTF8 --locale=C --pgdata="$data"
    echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
    pg_ctl --pgdata="$data" --wait --options="-c listen_addresses=''" start
    psql="psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username=$POSTGRES_USER"
    $psql --dbname=postgres --command="CREATE DATABASE \"$POSTGRES_DB\""
    for file in /docker-entrypoint-initdb.d/*.sql; do
        $psql --dbname="$POSTGRES_DB" --file="$file"
    done
    pg_ctl --pgdata="$data" --wait --mode=fast stop
fi
exec postgres -D "$data" -c listen_addresses='*' "$@"
