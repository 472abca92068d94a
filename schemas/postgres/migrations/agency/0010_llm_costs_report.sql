-- The costs of language models of all tenants, for reports and bills.
SET LOCAL ROLE storekit_reports;

CREATE VIEW report.llm_costs AS
SELECT tenant_id, model, date_trunc('month', created_on, 'UTC')::date AS month, count(*) AS calls,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost) AS cost
FROM public.llm_calls
GROUP BY tenant_id, model, month
ORDER BY month, tenant_id, model;

SET LOCAL ROLE storekit_owner;
