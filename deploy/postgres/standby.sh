#!/bin/sh
# A standby of the primary that primary.sh has made: copies it at the first start, and follows it from then on.
# tests/fleet/deploy.rs runs it as well. PRIMARY_HOST, PRIMARY_PORT; STORE_PASSWORD_FILE holds the password; arguments are
# for postgres.
set -eu

chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    PGPASSWORD=$(cat "$STORE_PASSWORD_FILE")
    export PGPASSWORD
    # With the password, so that no file beside it is needed at later starts.
    until pg_basebackup --pgdata "$PGDATA" --wal-method stream --checkpoint fast --write-recovery-conf \
        --dbname "host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replicator application_name=standby"; do
        # What a copy that broke off has left.
        find "$PGDATA" -mindepth 1 -delete
        sleep 1
    done
    unset PGPASSWORD
fi
exec postgres -D "$PGDATA" "$@"
