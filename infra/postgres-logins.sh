#!/bin/sh
# Creates storekit's logins in a new data directory. Migrations grant privileges to their group roles.
set -eu

psql --set ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname storekit <<'SQL'
\getenv admin STOREKIT_ADMIN_PASSWORD
\getenv app STOREKIT_APP_PASSWORD
\getenv worker STOREKIT_WORKER_PASSWORD
\getenv reporter STOREKIT_REPORTER_PASSWORD
CREATE ROLE storekit_admin LOGIN CREATEROLE PASSWORD :'admin';
CREATE ROLE storekit_app_login LOGIN PASSWORD :'app';
CREATE ROLE storekit_worker_login LOGIN PASSWORD :'worker';
CREATE ROLE storekit_reporter_login LOGIN PASSWORD :'reporter';
ALTER DATABASE storekit OWNER TO storekit_admin;
-- Migrations let the worker see when the transactions of others began.
GRANT pg_read_all_stats TO storekit_admin WITH ADMIN OPTION;
-- Created by the admin: from PostgreSQL 16 on only the role that created a role may grant it.
SET ROLE storekit_admin;
CREATE ROLE storekit_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
CREATE ROLE storekit_worker NOLOGIN NOSUPERUSER NOBYPASSRLS;
CREATE ROLE storekit_reporter NOLOGIN NOSUPERUSER NOBYPASSRLS;
GRANT storekit_app TO storekit_app_login;
GRANT storekit_worker TO storekit_worker_login;
GRANT storekit_reporter TO storekit_reporter_login;
SQL
