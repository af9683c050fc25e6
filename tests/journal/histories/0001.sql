BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
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
INSERT INTO "operations" VALUES('history','fff5bd82a637ea9763a834145311383376362eae','upload','{"name": "prices.txt", "bytes": 17, "owner": "doc"}','done',1,'worker.1.0123456789ab',1.79580374710928201672e+09,'{}','{"id": "{file}"}','null',1.79580368710928201672e+09,1.79580368739246034616e+09);
INSERT INTO "operations" VALUES('history','c89aa36b03cab75050e62c454dd3c3b4b14797f1','agent','{"agent": "clerk", "model": "m", "owner": "doc"}','done',1,'worker.1.0123456789ab',1.79580374747535037992e+09,'{}','{"id": "{agent}"}','null',1.79580368747535037998e+09,1.79580368781566286086e+09);
INSERT INTO "operations" VALUES('history','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','turn','{"step": "ask", "agent": "clerk", "owner": "doc", "after": null, "prompt": "6e284e9c392c5eb184b0fa19e18883283eb332a9cbeffe51a667bee81d1a21ef"}','attached',1,'worker.1.0123456789ab',1.79580374781990146637e+09,'{"conversation": "{thread}", "turn_id": "{run}"}',NULL,NULL,1.79580368781990146629e+09,1.79580368849698781968e+09);
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
INSERT INTO "resources" VALUES('history','file','{file}','fff5bd82a637ea9763a834145311383376362eae','doc','prices.txt','live',1.7958036874315438271e+09,1.79589008743154382704e+09,NULL);
INSERT INTO "resources" VALUES('history','agent','{agent}','c89aa36b03cab75050e62c454dd3c3b4b14797f1','doc','clerk','live',1.79580368781746912e+09,1.79589008781746912006e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','{thread}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','doc','ask','live',1.79580368849857378008e+09,1.79589008849857378002e+09,NULL);
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
	finished_at FLOAT, 
	PRIMARY KEY (scope, turn_id, call_id)
);
INSERT INTO "tool_calls" VALUES('history','{run}','{call_0}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','find','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','found',NULL,1.79580368863574147222e+09,1.79580368864616799354e+09);
INSERT INTO "tool_calls" VALUES('history','{run}','{call_1}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','book','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','booked',NULL,1.79580368864097833633e+09,1.79580368867316341394e+09);
CREATE INDEX operations_by_worker ON operations (worker, state);
CREATE INDEX tool_calls_by_operation ON tool_calls (scope, operation_key);
CREATE INDEX resources_by_owner ON resources (scope, owner, state);
CREATE INDEX resources_by_operation ON resources (scope, operation_key);
CREATE INDEX documents_by_status ON documents (scope, batch, status);
COMMIT;
