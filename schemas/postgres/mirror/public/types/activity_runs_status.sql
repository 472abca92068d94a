-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TYPE public.activity_runs_status AS ENUM (
    'pending',
    'running',
    'succeeded',
    'failed',
    'cancelled'
);

ALTER TYPE public.activity_runs_status OWNER TO storekit_owner;
