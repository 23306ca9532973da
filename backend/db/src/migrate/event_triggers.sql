-- The event triggers that would run, in the form of kept.sql. A superuser alone can stop them.
SELECT format('event trigger %I', evtname) AS object, format('ALTER EVENT TRIGGER %I DISABLE', evtname) AS away,
       ARRAY[format('ALTER EVENT TRIGGER %I ENABLE%s', evtname, CASE evtenabled WHEN 'A' THEN ' ALWAYS' WHEN 'R' THEN ' REPLICA' ELSE '' END)] AS back
FROM pg_event_trigger
WHERE evtenabled <> 'D' AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
