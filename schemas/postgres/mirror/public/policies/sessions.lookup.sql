-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY lookup ON public.sessions
    FOR SELECT TO storekit_owner
    USING (token_digest = NULLIF(current_setting('storekit.lookup'::text, true), ''::text));
