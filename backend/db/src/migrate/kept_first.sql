-- In the form of kept.sql: the event triggers that would run, which a superuser alone can stop, and what hides rows from their owner.
SELECT format('event trigger %I', evtname) AS object, format('ALTER EVENT TRIGGER %I DISABLE', evtname) AS away,
       ARRAY[format('ALTER EVENT TRIGGER %I ENABLE%s', evtname, CASE evtenabled WHEN 'A' THEN ' ALWAYS' WHEN 'R' THEN ' REPLICA' ELSE '' END)] AS back
FROM pg_event_trigger
WHERE evtenabled <> 'D' AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
UNION ALL
SELECT format('row-level security of %s', oid::regclass), format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', oid::regclass),
       ARRAY[format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', oid::regclass)]
FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relname IN ('users', 'intake_sessions', 'emotion_entries', 'visualizations')
  AND relforcerowsecurity
