-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE POLICY report ON public.llm_calls
    FOR SELECT TO storekit_reports
    USING (true);
