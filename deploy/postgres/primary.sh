#!/bin/sh
# Makes an empty PostgreSQL the primary of a fleet: the database `logs` with its owner `logagg`, a role for the standby,
# and a commit that waits for the standby. The image of PostgreSQL runs this once, before it takes connections;
# tests/fleet/deploy.rs runs it as well. STORE_PASSWORD_FILE holds the password of both roles.
set -eu

psql -v ON_ERROR_STOP=1 --no-psqlrc --dbname postgres <<'SQL'
\set password `cat "$STORE_PASSWORD_FILE"`
CREATE ROLE logagg LOGIN PASSWORD :'password';
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'password';
CREATE DATABASE logs OWNER logagg ENCODING 'UTF8' TEMPLATE template0;
-- Read with the next start: nothing here may wait for a standby that cannot be there yet.
ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby)';
-- What a standby may miss and still go on from.
ALTER SYSTEM SET wal_keep_size = '1GB';
SQL
echo 'host replication replicator all scram-sha-256' >>"$PGDATA/pg_hba.conf"
