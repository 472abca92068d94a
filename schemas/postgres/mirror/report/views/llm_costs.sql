-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE VIEW report.llm_costs AS
 SELECT tenant_id,
    model,
    date_trunc('month'::text, created_on, 'UTC'::text)::date AS month,
    count(*) AS calls,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost) AS cost
   FROM public.llm_calls
  GROUP BY tenant_id, model, (date_trunc('month'::text, created_on, 'UTC'::text)::date)
  ORDER BY (date_trunc('month'::text, created_on, 'UTC'::text)::date), tenant_id, model;

ALTER VIEW report.llm_costs OWNER TO storekit_reports;
