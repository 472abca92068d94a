-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY everybody ON public.activity_templates
    FOR SELECT TO PUBLIC
    USING (true);
