-- The machines of what was there before: manage() puts their triggers in place.

DELETE FROM storekit.move WHERE entity = 'activity_runs';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('activity_runs', 'status', '', 'pending'),
    ('activity_runs', 'status', '', 'running'),
    ('activity_runs', 'status', 'pending', 'running'),
    ('activity_runs', 'status', 'pending', 'cancelled'),
    ('activity_runs', 'status', 'running', 'succeeded'),
    ('activity_runs', 'status', 'running', 'failed'),
    ('activity_runs', 'status', 'running', 'cancelled');

SELECT storekit.manage('public.activity_runs');

DELETE FROM storekit.move WHERE entity = 'activity_outputs';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('activity_outputs', 'status', '', 'draft'),
    ('activity_outputs', 'status', '', 'in_review'),
    ('activity_outputs', 'status', 'draft', 'in_review'),
    ('activity_outputs', 'status', 'in_review', 'draft'),
    ('activity_outputs', 'status', 'in_review', 'approved'),
    ('activity_outputs', 'status', 'in_review', 'rejected'),
    ('activity_outputs', 'status', 'rejected', 'draft');

SELECT storekit.manage('public.activity_outputs');

DELETE FROM storekit.move WHERE entity = 'tool_calls';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('tool_calls', 'status', '', 'running'),
    ('tool_calls', 'status', '', 'succeeded'),
    ('tool_calls', 'status', '', 'failed'),
    ('tool_calls', 'status', 'running', 'succeeded'),
    ('tool_calls', 'status', 'running', 'failed');

SELECT storekit.manage('public.tool_calls');

DELETE FROM storekit.move WHERE entity = 'blog_posts';
INSERT INTO storekit.move (entity, field, from_state, to_state) VALUES
    ('blog_posts', 'status', '', 'draft'),
    ('blog_posts', 'status', 'draft', 'in_review'),
    ('blog_posts', 'status', 'in_review', 'draft'),
    ('blog_posts', 'status', 'in_review', 'approved'),
    ('blog_posts', 'status', 'in_review', 'rejected'),
    ('blog_posts', 'status', 'approved', 'published'),
    ('blog_posts', 'status', 'approved', 'draft'),
    ('blog_posts', 'status', 'rejected', 'draft');

SELECT storekit.manage('public.blog_posts');
