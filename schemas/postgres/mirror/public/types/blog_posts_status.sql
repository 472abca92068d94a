-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TYPE public.blog_posts_status AS ENUM (
    'draft',
    'in_review',
    'approved',
    'published',
    'rejected'
);

ALTER TYPE public.blog_posts_status OWNER TO storekit_owner;
