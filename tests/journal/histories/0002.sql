BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE documents (
	scope VARCHAR(300) NOT NULL, 
	batch VARCHAR(64) NOT NULL, 
	name VARCHAR(1000) NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	body JSON NOT NULL, 
	updated_at FLOAT NOT NULL, 
	PRIMARY KEY (scope, batch, name)
);
CREATE TABLE operations (
	scope VARCHAR(300) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	fingerprint JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	worker VARCHAR(200) NOT NULL, 
	lease_until FLOAT NOT NULL, 
	remote JSON NOT NULL, 
	result JSON, 
	error JSON, 
	intended_at FLOAT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	PRIMARY KEY (scope, "key")
);
INSERT INTO "operations" VALUES('history','fff5bd82a637ea9763a834145311383376362eae','upload','{"name": "prices.txt", "bytes": 17, "owner": "doc"}','done',1,'worker.1.0123456789ab',1.79588968264662384981e+09,'{}','{"id": "{file}"}','null',1.79588962264662384987e+09,1.79588962296166396136e+09);
INSERT INTO "operations" VALUES('history','c89aa36b03cab75050e62c454dd3c3b4b14797f1','agent','{"agent": "clerk", "model": "m", "owner": "doc"}','done',1,'worker.1.0123456789ab',1.79588968298073434833e+09,'{}','{"id": "{agent}"}','null',1.79588962298073434825e+09,1.79588962316867971425e+09);
INSERT INTO "operations" VALUES('history','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','turn','{"step": "ask", "agent": "clerk", "owner": "doc", "after": null, "prompt": "6e284e9c392c5eb184b0fa19e18883283eb332a9cbeffe51a667bee81d1a21ef"}','attached',1,'worker.1.0123456789ab',1.79588968317637252803e+09,'{"conversation": "{thread}", "turn_id": "{run}"}',NULL,NULL,1.79588962317637252808e+09,1.79588962347673773765e+09);
CREATE TABLE resources (
	scope VARCHAR(300) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	remote_id VARCHAR(100) NOT NULL, 
	operation_key VARCHAR(64) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	deleted_at FLOAT, 
	PRIMARY KEY (scope, kind, remote_id)
);
INSERT INTO "resources" VALUES('history','file','{file}','fff5bd82a637ea9763a834145311383376362eae','doc','prices.txt','live',1.7958896229651491642e+09,1.79597602296514916421e+09,NULL);
INSERT INTO "resources" VALUES('history','agent','{agent}','c89aa36b03cab75050e62c454dd3c3b4b14797f1','doc','clerk','live',1.79588962316942071916e+09,1.79597602316942071918e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','{thread}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','doc','ask','live',1.79588962347800636292e+09,1.79597602347800636285e+09,NULL);
CREATE TABLE tool_calls (
	scope VARCHAR(300) NOT NULL, 
	turn_id VARCHAR(100) NOT NULL, 
	call_id VARCHAR(100) NOT NULL, 
	operation_key VARCHAR(64) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	arguments_hash VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	output TEXT, 
	error_type VARCHAR(200), 
	started_at FLOAT NOT NULL, 
	finished_at FLOAT, arguments TEXT, 
	PRIMARY KEY (scope, turn_id, call_id)
);
INSERT INTO "tool_calls" VALUES('history','{run}','{call_0}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','find','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','found',NULL,1.79588962362668895719e+09,1.79588962363497257231e+09,'{"name": "Oak"}');
INSERT INTO "tool_calls" VALUES('history','{run}','{call_1}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','book','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','booked',NULL,1.7958896236269812584e+09,1.7958896236375517845e+09,'{"name": "Oak"}');
CREATE INDEX operations_by_worker ON operations (worker, state);
CREATE INDEX tool_calls_by_operation ON tool_calls (scope, operation_key);
CREATE INDEX resources_by_owner ON resources (scope, owner, state);
CREATE INDEX resources_by_operation ON resources (scope, operation_key);
CREATE INDEX documents_by_status ON documents (scope, batch, status);
CREATE INDEX resources_by_state ON resources (scope, state);
COMMIT;
