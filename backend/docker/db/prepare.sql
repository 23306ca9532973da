-- Prepares the database that the image has just created: the rights of the API's role. The API's container sets the role's password.
-- A database that exists is never prepared: it may be another application's. The native engine does the same (crates/dev-env, roles.rs).
CREATE ROLE emotionviz_api;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO emotionviz_api;
GRANT USAGE ON SCHEMA public TO emotionviz_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO emotionviz_api;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO emotionviz_api;
ALTER DEFAULT PRIVILEGES FOR ROLE :"USER" IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO emotionviz_api;
ALTER DEFAULT PRIVILEGES FOR ROLE :"USER" IN SCHEMA public GRANT USAGE ON SEQUENCES TO emotionviz_api;
