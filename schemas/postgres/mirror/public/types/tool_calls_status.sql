-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TYPE public.tool_calls_status AS ENUM (
    'running',
    'succeeded',
    'failed'
);

ALTER TYPE public.tool_calls_status OWNER TO storekit_owner;
