-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TYPE public.activity_outputs_status AS ENUM (
    'draft',
    'in_review',
    'approved',
    'rejected'
);

ALTER TYPE public.activity_outputs_status OWNER TO storekit_owner;
