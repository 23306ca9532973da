-- What the user made on the Python backend's tables and the migration to today's shape would stop at, take away or set off: each with
-- the statement that puts it aside and those that put it back. Put aside in the order of `step`, put back in the reverse one.
WITH RECURSIVE ours AS (
    SELECT unnest(ARRAY['users'::regclass, 'intake_sessions'::regclass, 'emotion_entries'::regclass, 'visualizations'::regclass])::oid AS relid
),
-- As the migration chooses them.
chosen AS (
    SELECT a.attrelid AS relid, a.attnum::int AS attnum, a.attname, a.attgenerated, c.data_type, format_type(a.atttypid, a.atttypmod) AS type,
           pg_get_expr(g.adbin, g.adrelid) AS preset,
           (SELECT format_type(e.oid, NULL) FROM pg_type t JOIN pg_type e ON e.oid IN (t.oid, t.typelem) WHERE t.oid = a.atttypid AND e.typtype = 'e') AS enumeration,
           -- The user's own column gets its type back.
           (c.table_name, c.column_name) NOT IN (
               ('users', 'created_at'), ('users', 'updated_at'), ('users', 'last_login_at'),
               ('intake_sessions', 'conversation_history'), ('intake_sessions', 'ai_context'),
               ('intake_sessions', 'created_at'), ('intake_sessions', 'updated_at'), ('intake_sessions', 'completed_at'),
               ('emotion_entries', 'emotions'), ('emotion_entries', 'source'), ('emotion_entries', 'created_at'), ('emotion_entries', 'updated_at'),
               ('visualizations', 'status'), ('visualizations', 'style'), ('visualizations', 'insights'), ('visualizations', 'visual_elements'),
               ('visualizations', 'gemini_analysis'), ('visualizations', 'nanobanana_response'), ('visualizations', 'processing_started_at'),
               ('visualizations', 'processing_completed_at'), ('visualizations', 'created_at'), ('visualizations', 'updated_at')
           ) AS is_users
    FROM information_schema.columns c
    JOIN pg_attribute a ON a.attrelid = format('%I.%I', c.table_schema, c.table_name)::regclass AND a.attname = c.column_name
    LEFT JOIN pg_attrdef g ON g.adrelid = a.attrelid AND g.adnum = a.attnum
    WHERE c.table_schema = current_schema() AND a.attrelid IN (SELECT relid FROM ours)
      AND (c.data_type IN ('timestamp without time zone', 'json') OR c.column_name IN ('source', 'status', 'style', 'emotions', 'insights'))
),
-- The user's own columns that it chooses for their name alone have another one until then, and stay as they are.
renamed AS (
    SELECT relid, attnum, attname, attgenerated, 'kept_column_' || attnum AS meantime
    FROM chosen
    WHERE is_users AND data_type NOT IN ('timestamp without time zone', 'json')
),
changed AS (
    SELECT * FROM chosen WHERE attgenerated = '' AND (relid, attnum) NOT IN (SELECT relid, attnum FROM renamed)
),
-- What refers to these columns, and what refers to that. A view's rule stands for the view, and a generated column's expression for the
-- column. PostgreSQL itself takes care of indexes, constraints and statistics.
depending AS (
    SELECT 'pg_class'::regclass::oid AS class, relid AS object, attnum AS sub, 0 AS depth FROM changed
    UNION
    SELECT next.class, next.object, next.sub, f.depth + 1
    FROM depending f
    JOIN pg_depend d ON d.refclassid = f.class AND d.refobjid = f.object AND (f.sub = 0 OR d.refobjsubid = f.sub)
                     OR f.sub = 0 AND d.refclassid = 'pg_type'::regclass
                        AND d.refobjid IN (SELECT unnest(ARRAY[t.oid, t.typarray]) FROM pg_type t WHERE t.typrelid = f.object)
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'
    LEFT JOIN pg_attrdef g ON d.classid = 'pg_attrdef'::regclass AND g.oid = d.objid
    LEFT JOIN pg_class i ON d.classid = 'pg_class'::regclass AND i.oid = d.objid
    CROSS JOIN LATERAL (
        SELECT CASE WHEN r.oid IS NULL AND g.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END,
               coalesce(r.ev_class, g.adrelid, d.objid),
               CASE WHEN r.oid IS NOT NULL THEN 0 ELSE coalesce(g.adnum, d.objsubid) END
    ) AS next (class, object, sub)
    WHERE f.class = 'pg_class'::regclass AND d.deptype IN ('n', 'a') AND (next.object <> f.object OR next.sub <> f.sub AND f.sub > 0) AND f.depth < 100
      AND d.classid NOT IN ('pg_constraint'::regclass, 'pg_statistic_ext'::regclass, 'pg_type'::regclass)
      AND (i.oid IS NULL OR i.relkind NOT IN ('i', 'I', 'S', 't'))
),
-- What is named by its columns is found once for each of them.
dependents AS (
    SELECT d.class, d.object, d.sub, max(d.depth) AS depth, o.type, o.identity
    FROM depending d, pg_identify_object(d.class, d.object, d.sub) AS o
    WHERE d.depth > 0
    GROUP BY 1, 2, 3, 5, 6
),
indexes AS (
    SELECT i.indexrelid AS oid, i.indrelid, c.relname,
           EXISTS (
               SELECT FROM (VALUES ('ix_users_email', 'UNIQUE ', 'users', 'email'), ('ix_emotion_entries_user_id', '', 'emotion_entries', 'user_id'),
                                   ('ix_emotion_entries_created_at', '', 'emotion_entries', 'created_at'),
                                   ('ix_visualizations_entry_id', 'UNIQUE ', 'visualizations', 'entry_id'),
                                   ('ix_visualizations_user_id', '', 'visualizations', 'user_id'), ('ix_visualizations_status', '', 'visualizations', 'status'),
                                   ('ix_intake_sessions_user_id', '', 'intake_sessions', 'user_id')) AS made (index, uniqueness, of_table, of_column)
               WHERE pg_get_indexdef(i.indexrelid)
                   = format('CREATE %sINDEX %s ON %I.%s USING btree (%s)', uniqueness, index, current_schema(), of_table, of_column)
           ) AS is_revisions
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid IN (SELECT relid FROM ours)
),
constraints AS (
    SELECT c.*, format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS away,
           format('ALTER TABLE %s ADD CONSTRAINT %I ', conrelid::regclass, conname) AS add,
           CASE WHEN condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN condeferred THEN ' INITIALLY DEFERRED' ELSE '' END AS deferring,
           (contype, conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)) IN (
               ('u', 'users', 'users_email_key', 'UNIQUE (email)'), ('u', 'users', 'uq_users_email', 'UNIQUE (email)'),
               ('u', 'users', 'users_email_unique', 'UNIQUE (email)'), ('u', 'visualizations', 'visualizations_entry_id_key', 'UNIQUE (entry_id)'),
               ('u', 'visualizations', 'uq_visualizations_entry_id', 'UNIQUE (entry_id)'),
               ('u', 'visualizations', 'visualizations_entry_id_unique', 'UNIQUE (entry_id)')
           ) OR contype = 'f' AND conname IN (
               'intake_sessions_user_id_fkey', 'emotion_entries_user_id_fkey', 'emotion_entries_intake_session_id_fkey',
               'visualizations_entry_id_fkey', 'visualizations_user_id_fkey'
           ) AS is_revisions
    FROM pg_constraint c
    WHERE contype IN ('f', 'u') AND conparentid = 0
),
-- Expressions over a column that was an enumeration or a time without a zone mean something else afterwards, and those over json of the
-- user's are none of the text that it is until then.
retyped AS (
    SELECT DISTINCT d.classid AS class, d.objid AS oid
    FROM changed JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = relid AND d.refobjsubid = attnum
    LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
    WHERE (enumeration IS NOT NULL OR data_type = 'timestamp without time zone' OR data_type = 'json' AND is_users)
      AND ((i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND i.indexrelid NOT IN (SELECT conindid FROM pg_constraint) OR c.contype = 'c')
),
-- A cast to such an enumeration, in a definition.
enumerations AS (
    SELECT '::(' || string_agg(DISTINCT regexp_replace(enumeration, '(\W)', '\\\1', 'g'), '|') || ')(?!\w)' AS casts FROM changed
),
comments AS (
    SELECT classoid AS class, objoid AS object,
           array_agg(format('COMMENT ON %s %s IS %L', CASE WHEN o.type LIKE '% column' THEN 'COLUMN' WHEN o.type = 'table constraint' THEN 'CONSTRAINT' ELSE o.type END,
                            o.identity, description)) AS statements
    FROM pg_description, pg_identify_object(classoid, objoid, objsubid) AS o
    WHERE objoid IN (SELECT object FROM dependents UNION SELECT oid FROM constraints UNION SELECT oid FROM retyped UNION
                     SELECT indexrelid FROM pg_index, dependents WHERE indrelid = object)
    GROUP BY 1, 2
),
kept (step, object, away, back) AS (
    -- A row of an older shape fits into no column of the new one.
    SELECT 5, format('column %s.%I', attrelid::regclass, attname), format('ALTER TABLE %s ALTER %I TYPE text USING %I::text', attrelid::regclass, attname, attname), NULL
    FROM pg_attribute JOIN pg_class holder ON holder.oid = attrelid JOIN pg_type t ON t.oid = atttypid
    WHERE holder.relkind IN ('r', 'p', 'm') AND NOT attisdropped
      AND (t.typrelid IN (SELECT relid FROM ours) OR t.typelem IN (SELECT reltype FROM pg_class WHERE oid IN (SELECT relid FROM ours)))
    UNION ALL
    -- Nothing of the user's runs until then.
    SELECT 20, format('trigger %I on %s', tgname, tgrelid::regclass), format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
           ARRAY[format('ALTER TABLE %s ENABLE%s TRIGGER %I', tgrelid::regclass, CASE tgenabled WHEN 'A' THEN ' ALWAYS' WHEN 'R' THEN ' REPLICA' ELSE '' END, tgname)]
    FROM pg_trigger
    WHERE tgrelid IN (SELECT relid FROM ours) AND NOT tgisinternal AND tgenabled <> 'D'
    UNION ALL
    SELECT 21, format('rule %I on %s', rulename, ev_class::regclass), format('ALTER TABLE %s DISABLE RULE %I', ev_class::regclass, rulename),
           ARRAY[format('ALTER TABLE %s ENABLE%s RULE %I', ev_class::regclass, CASE ev_enabled WHEN 'A' THEN ' ALWAYS' WHEN 'R' THEN ' REPLICA' ELSE '' END, rulename)]
    FROM pg_rewrite
    WHERE ev_class IN (SELECT relid FROM ours) AND ev_enabled <> 'D'
    UNION ALL
    SELECT 22, format('row-level security of %s', oid::regclass), format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', oid::regclass),
           ARRAY[format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', oid::regclass)]
    FROM pg_class
    WHERE oid IN (SELECT relid FROM ours) AND relforcerowsecurity
    UNION ALL
    SELECT 1000 - d.depth, d.type || ' ' || d.identity,
           coalesce(stub.away, publication.away, generated.away, typed.away, format('DROP %s %s', d.type, d.identity)),
           coalesce(stub.back, publication.back, generated.back, typed.back, rule.back, trigger.back, policy.back, viewed.back)
               || (SELECT statements FROM comments c WHERE (c.class, c.object) = (d.class, d.object) AND d.sub = 0)
    FROM dependents d
    -- The body alone goes: what calls the function keeps it.
    LEFT JOIN LATERAL (
        SELECT left(whole, length(whole) - length(body) - 1) || ' AS $stub$ SELECT NULL $stub$' AS away, ARRAY[whole] AS back
        FROM (SELECT pg_get_functiondef(oid) AS whole, pg_get_function_sqlbody(oid) AS body FROM pg_proc WHERE oid = d.object AND prosqlbody IS NOT NULL) AS f
    ) AS stub ON d.class = 'pg_proc'::regclass
    LEFT JOIN LATERAL (
        SELECT format('ALTER PUBLICATION %I DROP TABLE %s', pubname, prrelid::regclass) AS away,
               ARRAY[format('ALTER PUBLICATION %I ADD TABLE %s%s%s', pubname, prrelid::regclass,
                            (SELECT ' (' || string_agg(quote_ident(attname), ', ') || ')' FROM pg_attribute WHERE attrelid = prrelid AND attnum = ANY (prattrs)),
                            ' WHERE (' || pg_get_expr(prqual, prrelid) || ')')] AS back
        FROM pg_publication_rel p JOIN pg_publication ON pg_publication.oid = prpubid
        WHERE p.oid = d.object
    ) AS publication ON d.class = 'pg_publication_rel'::regclass
    LEFT JOIN LATERAL (
        SELECT format('ALTER TABLE %s DROP COLUMN %I', attrelid::regclass, attname) AS away,
               ARRAY[format('ALTER TABLE %s ADD COLUMN %I %s GENERATED ALWAYS AS (%s) %s%s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
                            pg_get_expr(adbin, adrelid), CASE attgenerated WHEN 'v' THEN 'VIRTUAL' ELSE 'STORED' END,
                            CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END)]
               || (SELECT array_agg(DISTINCT CASE WHEN c.oid IS NULL THEN pg_get_indexdef(p.objid)
                                                  ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) END)
                   FROM pg_depend p
                   LEFT JOIN pg_constraint c ON c.oid = p.objid AND p.classid = 'pg_constraint'::regclass
                   WHERE p.refobjid = d.object AND p.refobjsubid = d.sub AND p.deptype IN ('n', 'a')
                     AND (c.conrelid = d.object AND c.contype <> 'n' OR p.classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = p.objid) = 'i'))
               || (SELECT ARRAY[format('COMMENT ON COLUMN %s.%I IS %L', d.object::regclass, attname, description)]
                   FROM pg_description WHERE classoid = d.class AND objoid = d.object AND objsubid = d.sub)
               || (SELECT array_agg(format('GRANT %s (%I) ON %s TO %s', privilege_type, attname, d.object::regclass, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END))
                   FROM aclexplode(attacl)) AS back
        FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = d.object AND attnum = d.sub AND attgenerated <> ''
    ) AS generated ON d.class = 'pg_class'::regclass AND d.sub > 0
    -- A column that holds rows of a view.
    LEFT JOIN LATERAL (
        SELECT format('ALTER TABLE %s ALTER %I DROP DEFAULT, ALTER %I TYPE text USING %I::text', attrelid::regclass, attname, attname, attname) AS away,
               ARRAY[format('ALTER TABLE %s ALTER %I TYPE %s USING %I::%s', attrelid::regclass, attname, type, attname, type)]
               || (SELECT format('ALTER TABLE %s ALTER %I SET DEFAULT %s', attrelid::regclass, attname, pg_get_expr(adbin, adrelid))
                   FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum) AS back
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, format_type(atttypid, atttypmod) AS type
        WHERE attrelid = d.object AND attnum = d.sub AND attgenerated = '' AND relkind = 'r'
    ) AS typed ON d.class = 'pg_class'::regclass AND d.sub > 0
    LEFT JOIN LATERAL (
        SELECT ARRAY[pg_get_ruledef(oid)] || CASE WHEN ev_enabled = 'D' THEN format('ALTER TABLE %s DISABLE RULE %I', ev_class::regclass, rulename) END AS back
        FROM pg_rewrite
        WHERE oid = d.object
    ) AS rule ON d.class = 'pg_rewrite'::regclass
    LEFT JOIN LATERAL (
        SELECT ARRAY[pg_get_triggerdef(oid)] || CASE WHEN tgenabled = 'D' THEN format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) END AS back
        FROM pg_trigger
        WHERE oid = d.object
    ) AS trigger ON d.class = 'pg_trigger'::regclass
    LEFT JOIN LATERAL (
        SELECT ARRAY[format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', polname, polrelid::regclass,
                            CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                            CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                            (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ') FROM unnest(polroles) AS role),
                            ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')] AS back
        FROM pg_policy
        WHERE oid = d.object
    ) AS policy ON d.class = 'pg_policy'::regclass
    LEFT JOIN LATERAL (
        SELECT ARRAY[format('CREATE %s %s%s%s AS %s%s', d.type, d.identity, ' WITH (' || array_to_string(reloptions, ', ') || ')',
                            ' TABLESPACE ' || (SELECT quote_ident(spcname) FROM pg_tablespace WHERE pg_tablespace.oid = reltablespace),
                            rtrim(pg_get_viewdef(v.oid), ';'),
                            CASE WHEN relkind = 'v' THEN '' WHEN relispopulated THEN ' WITH DATA' ELSE ' WITH NO DATA' END)]
               || (SELECT array_agg(format('ALTER VIEW %s ALTER %I SET DEFAULT %s', d.identity, attname, pg_get_expr(adbin, adrelid)))
                   FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = v.oid)
               || (SELECT array_agg(pg_get_indexdef(indexrelid)) FROM pg_index WHERE indrelid = v.oid)
               || (SELECT array_agg(format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', d.identity, i.relname))
                   FROM pg_index JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = v.oid AND indisclustered)
               || (SELECT array_agg(pg_get_statisticsobjdef(oid)) FROM pg_statistic_ext WHERE stxrelid = v.oid)
               || CASE WHEN pg_get_userbyid(relowner) <> current_user THEN format('ALTER %s %s OWNER TO %I', d.type, d.identity, pg_get_userbyid(relowner)) END
               -- Default privileges may have granted something else.
               || format('DO $do$ DECLARE who text; BEGIN FOR who IN SELECT DISTINCT CASE grantee WHEN 0 THEN ''PUBLIC'' ELSE quote_ident(pg_get_userbyid(grantee)) END '
                         'FROM pg_class, aclexplode(relacl) WHERE oid = %L::regclass LOOP EXECUTE format(''REVOKE ALL ON %%s FROM %%s'', %L, who); END LOOP; END $do$',
                         d.identity, d.identity)
               || (SELECT array_agg(format('GRANT %s ON %s TO %s%s', privilege_type, d.identity, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                                           CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
                   FROM aclexplode(coalesce(relacl, acldefault('r', relowner))))
               || (SELECT array_agg(format('GRANT %s (%I) ON %s TO %s%s', privilege_type, attname, d.identity, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                                           CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
                   FROM pg_attribute, aclexplode(attacl) WHERE attrelid = v.oid)
               || (SELECT array_agg(statement) FROM comments c, unnest(c.statements) AS statement
                   WHERE c.object IN (SELECT indexrelid FROM pg_index WHERE indrelid = v.oid)) AS back
        FROM pg_class v
        WHERE v.oid = d.object AND relkind IN ('v', 'm')
    ) AS viewed ON d.class = 'pg_class'::regclass AND d.sub = 0
    UNION ALL
    SELECT 1900, o.type || ' ' || o.identity,
           CASE WHEN class = 'pg_class'::regclass THEN format('DROP INDEX %s', o.identity) ELSE (SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint c WHERE c.oid = retyped.oid) END,
           ARRAY[coalesce(regexp_replace(definition, (SELECT '\m(' || string_agg(attname, '|') || ')\M' FROM changed WHERE data_type = 'timestamp without time zone'),
                                         '(\1 AT TIME ZONE ''UTC'')', 'g'), definition)]
               || (SELECT statements FROM comments c WHERE (c.class, c.object) = (retyped.class, retyped.oid))
    FROM retyped, pg_identify_object(class, oid, 0) AS o, LATERAL (
        SELECT CASE WHEN class = 'pg_class'::regclass THEN pg_get_indexdef(oid)
                    ELSE (SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid)) FROM pg_constraint c WHERE c.oid = retyped.oid) END
    ) AS d (definition)
    UNION ALL
    -- The user's foreign keys on these tables, and those of other tables that need a unique index which the migration replaces.
    SELECT 2000, format('foreign key %I of %s', conname, conrelid::regclass), away,
           ARRAY[add || pg_get_constraintdef(oid)] || (SELECT statements FROM comments WHERE object = constraints.oid)
    FROM constraints
    WHERE contype = 'f' AND NOT is_revisions
      AND (conrelid IN (SELECT relid FROM ours)
           OR conindid IN (SELECT oid FROM indexes WHERE is_revisions)
           OR conindid IN (SELECT conindid FROM constraints WHERE contype = 'u' AND conrelid IN (SELECT relid FROM ours)))
    UNION ALL
    SELECT 2100, format('unique constraint %I of %s', conname, conrelid::regclass), away,
           ARRAY[pg_get_indexdef(conindid), add || format('UNIQUE USING INDEX %I', conname) || deferring] || (SELECT statements FROM comments WHERE object = constraints.oid)
    FROM constraints
    WHERE contype = 'u' AND NOT is_revisions AND conrelid IN (SELECT relid FROM ours)
    UNION ALL
    SELECT 2200, format('index %I', relname), format('ALTER INDEX %I RENAME TO %I', relname, 'kept_' || oid), ARRAY[format('ALTER INDEX %I RENAME TO %I', 'kept_' || oid, relname)]
    FROM indexes
    WHERE relname LIKE 'ix\_%' AND NOT is_revisions AND oid NOT IN (SELECT oid FROM retyped) AND oid NOT IN (SELECT conindid FROM constraints WHERE contype = 'u')
    UNION ALL
    -- The migration takes each default away, and sets those of today's columns. Through jsonb, json of the user's would lose its blanks,
    -- its order and what is there twice.
    SELECT 2300, format('column %I of %s', attname, relid::regclass),
           CASE WHEN is_users AND data_type = 'json'
                    THEN format('ALTER TABLE %s ALTER %I DROP DEFAULT, ALTER %I TYPE text USING %I::text', relid::regclass, attname, attname, attname) END,
           CASE WHEN is_users AND data_type = 'timestamp without time zone'
                    THEN ARRAY[format('ALTER TABLE %s ALTER %I TYPE %s USING %I AT TIME ZONE ''UTC''', relid::regclass, attname, type, attname)]
                WHEN is_users THEN ARRAY[format('ALTER TABLE %s ALTER %I TYPE %s USING %I::%s', relid::regclass, attname, type, attname, type)]
                ELSE ARRAY[]::text[] END
           || CASE WHEN preset IS NOT NULL THEN format('ALTER TABLE %s ALTER %I SET DEFAULT %s', relid::regclass, attname, preset) END
    FROM changed
    WHERE is_users OR preset IS NOT NULL AND attname NOT IN ('source', 'status', 'created_at', 'conversation_history')
    UNION ALL
    SELECT 2400, format('column %I of %s', attname, relid::regclass), format('ALTER TABLE %s RENAME %I TO %I', relid::regclass, attname, meantime),
           ARRAY[format('ALTER TABLE %s RENAME %I TO %I', relid::regclass, meantime, attname)]
    FROM renamed
    WHERE attgenerated = '' OR (relid, attnum) NOT IN (SELECT object, sub FROM dependents WHERE class = 'pg_class'::regclass)
)
SELECT object, away,
       (SELECT array_agg(coalesce(regexp_replace(statement, casts, '::text', 'g'), statement) ORDER BY place)
        FROM unnest(back) WITH ORDINALITY AS s (statement, place) WHERE statement IS NOT NULL) AS back
FROM kept, enumerations
ORDER BY step
