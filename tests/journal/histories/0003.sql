BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE answers (
	scope VARCHAR(300) NOT NULL, 
	batch VARCHAR(64) NOT NULL, 
	question VARCHAR(1000) NOT NULL, 
	corpus VARCHAR(64) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	body JSON NOT NULL, 
	updated_at FLOAT NOT NULL, 
	format INTEGER DEFAULT '1' NOT NULL, 
	version VARCHAR(64), 
	PRIMARY KEY (scope, batch, question)
);
CREATE TABLE documents (
	scope VARCHAR(300) NOT NULL, 
	batch VARCHAR(64) NOT NULL, 
	name VARCHAR(1000) NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	body JSON NOT NULL, 
	updated_at FLOAT NOT NULL, format INTEGER DEFAULT '1' NOT NULL, version VARCHAR(64), 
	PRIMARY KEY (scope, batch, name)
);
CREATE TABLE flow_runs (
	id VARCHAR(300) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	noted_at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE leases (
	scope VARCHAR(300) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	owner TEXT NOT NULL, 
	document VARCHAR(1000), 
	worker VARCHAR(200) NOT NULL, 
	lease_until FLOAT NOT NULL, 
	taken_at FLOAT NOT NULL, 
	PRIMARY KEY (scope, "key")
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
	updated_at FLOAT NOT NULL, format INTEGER DEFAULT '1' NOT NULL, version VARCHAR(64), 
	PRIMARY KEY (scope, "key")
);
INSERT INTO "operations" VALUES('history','fff5bd82a637ea9763a834145311383376362eae','upload','{"name": "prices.txt", "bytes": 17, "owner": "doc"}','done',1,'worker.1.0123456789ab',1.7959016709769759178e+09,'{}','{"id": "{file}"}','null',1.79590161097697591785e+09,1.79590161101620340343e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','c89aa36b03cab75050e62c454dd3c3b4b14797f1','agent','{"agent": "clerk", "model": "m", "owner": "doc"}','done',1,'worker.1.0123456789ab',1.79590167102425193783e+09,'{}','{"id": "{agent}"}','null',1.79590161102425193784e+09,1.79590161106485700611e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','turn','{"step": "ask", "agent": "clerk", "owner": "doc", "after": null, "prompt": "6e284e9c392c5eb184b0fa19e18883283eb332a9cbeffe51a667bee81d1a21ef"}','attached',1,'worker.1.0123456789ab',1.79590167107212519644e+09,'{"conversation":"{thread}","turn_id":"{run}"}','null','null',1.7959016110721251965e+09,1.79590161114142847064e+09,1,'0.1.0');
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
INSERT INTO "resources" VALUES('history','file','{file}','fff5bd82a637ea9763a834145311383376362eae','doc','prices.txt','live',1.79590161101621484753e+09,1.7959880110162148476e+09,NULL);
INSERT INTO "resources" VALUES('history','agent','{agent}','c89aa36b03cab75050e62c454dd3c3b4b14797f1','doc','clerk','live',1.79590161106486344332e+09,1.79598801106486344334e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','{thread}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','doc','ask','live',1.79590161114142847064e+09,1.79598801114142847057e+09,NULL);
CREATE TABLE runs (
	scope VARCHAR(300) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	number INTEGER NOT NULL, 
	worker VARCHAR(200) NOT NULL, 
	started_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	body JSON, 
	format INTEGER DEFAULT '1' NOT NULL, 
	version VARCHAR(64), 
	PRIMARY KEY (scope, owner)
);
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
INSERT INTO "tool_calls" VALUES('history','{run}','{call_0}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','find','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','found',NULL,1.79590161119629168509e+09,1.7959016112114930153e+09,'{"name": "Oak"}');
INSERT INTO "tool_calls" VALUES('history','{run}','{call_1}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','book','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','booked',NULL,1.79590161119650030133e+09,1.79590161121322011944e+09,'{"name": "Oak"}');
CREATE INDEX operations_by_worker ON operations (worker, state);
CREATE INDEX tool_calls_by_operation ON tool_calls (scope, operation_key);
CREATE INDEX resources_by_owner ON resources (scope, owner, state);
CREATE INDEX resources_by_operation ON resources (scope, operation_key);
CREATE INDEX documents_by_status ON documents (scope, batch, status);
CREATE INDEX resources_by_state ON resources (scope, state);
COMMIT;
