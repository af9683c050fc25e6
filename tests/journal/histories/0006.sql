BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
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
CREATE TABLE batches (
	scope VARCHAR(300) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	pipeline VARCHAR(300) NOT NULL, 
	documents TEXT NOT NULL, 
	pipeline_file TEXT NOT NULL, 
	out TEXT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	noted_at FLOAT NOT NULL, 
	PRIMARY KEY (scope, "key")
);
CREATE TABLE decisions (
	scope VARCHAR(300) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	step VARCHAR(500) NOT NULL, 
	question TEXT NOT NULL, 
	shown TEXT NOT NULL, 
	shown_hash VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	asked_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	at_limit VARCHAR(16) NOT NULL, 
	decided_at FLOAT, 
	decided_by VARCHAR(200), 
	note TEXT, 
	taken_at FLOAT, 
	format INTEGER DEFAULT '1' NOT NULL, 
	version VARCHAR(64), 
	PRIMARY KEY (scope, "key")
);
INSERT INTO "decisions" VALUES('history','088da4b8f4acd7ede37c447bfc91a11bf4e39d52','doc','second','Book it?','Oak','cfed998f07b32c43aedad0dfb8126bb531d940875e6634c94cc7b3941747d755','waiting',1.79591321883440685272e+09,NULL,'fail',NULL,NULL,NULL,NULL,1,'0.1.0');
INSERT INTO "decisions" VALUES('history','5c7241d08cc3190da6257fe34bf04d16658515a8','doc','first','Book it?','Oak','cfed998f07b32c43aedad0dfb8126bb531d940875e6634c94cc7b3941747d755','approved',1.79591321909056758883e+09,NULL,'fail',1.79591321917586255077e+09,'Ann','Fine.',NULL,1,'0.1.0');
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
INSERT INTO "operations" VALUES('history','fff5bd82a637ea9763a834145311383376362eae','upload','{"name": "prices.txt", "bytes": 17, "owner": "doc"}','done',1,'worker.1.0123456789ab',1.79591329327039217946e+09,'{}','{"id": "{file}"}','null',1.79591323327039217947e+09,1.79591323387768411635e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','c89aa36b03cab75050e62c454dd3c3b4b14797f1','agent','{"agent": "clerk", "model": "m", "owner": "doc"}','done',1,'worker.1.0123456789ab',1.79591329403575611116e+09,'{}','{"id": "{agent}"}','null',1.79591323403575611108e+09,1.7959132351267855167e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','turn','{"step": "ask", "agent": "clerk", "owner": "doc", "after": null, "prompt": "6e284e9c392c5eb184b0fa19e18883283eb332a9cbeffe51a667bee81d1a21ef"}','attached',1,'worker.1.0123456789ab',1.79591329513259959221e+09,'{"conversation":"{thread}","turn_id":"{run}"}','null','null',1.79591323513259959214e+09,1.79591323721325969698e+09,1,'0.1.0');
CREATE TABLE past_runs (
	scope VARCHAR(300) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	number INTEGER NOT NULL, 
	started_at FLOAT NOT NULL, 
	ended_at FLOAT NOT NULL, 
	body JSON NOT NULL, 
	format INTEGER DEFAULT '1' NOT NULL, 
	version VARCHAR(64), 
	PRIMARY KEY (scope, owner, number)
);
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
INSERT INTO "resources" VALUES('history','file','{file}','fff5bd82a637ea9763a834145311383376362eae','doc','prices.txt','live',1.79591323387769079213e+09,1.79599963387769079206e+09,NULL);
INSERT INTO "resources" VALUES('history','agent','{agent}','c89aa36b03cab75050e62c454dd3c3b4b14797f1','doc','clerk','live',1.79591323512680578226e+09,1.79599963512680578232e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','{thread}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','doc','ask','live',1.79591323721325969698e+09,1.79599963721325969691e+09,NULL);
CREATE TABLE reviews (
	scope VARCHAR(300) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	batch VARCHAR(64) NOT NULL, 
	document VARCHAR(1000) NOT NULL, 
	number INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	decided_by VARCHAR(200) NOT NULL, 
	note TEXT, 
	step VARCHAR(500), 
	question VARCHAR(64), 
	seen VARCHAR(64) NOT NULL, 
	"left" VARCHAR(64) NOT NULL, 
	body JSON NOT NULL, 
	"before" JSON NOT NULL, 
	decided_at FLOAT NOT NULL, 
	undone_at FLOAT, 
	undone_by VARCHAR(200), 
	format INTEGER DEFAULT '1' NOT NULL, 
	version VARCHAR(64), 
	PRIMARY KEY (scope, "key")
);
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
INSERT INTO "tool_calls" VALUES('history','{run}','{call_0}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','find','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','found',NULL,1.79591323751838636397e+09,1.79591323757604694362e+09,'{"name": "Oak"}');
INSERT INTO "tool_calls" VALUES('history','{run}','{call_1}','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','book','2133f3a48f2c827ab737fcab9d4d8517d3cfb91fbb8e24a2173c309cc4f54f6c','done','booked',NULL,1.79591323751852679256e+09,1.79591323759869027137e+09,'{"name": "Oak"}');
CREATE TABLE transcripts (
	scope VARCHAR(300) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	step VARCHAR(500) NOT NULL, 
	agent VARCHAR(300) NOT NULL, 
	body JSON NOT NULL, 
	kept_at FLOAT NOT NULL, 
	format INTEGER DEFAULT '1' NOT NULL, 
	version VARCHAR(64), 
	PRIMARY KEY (scope, "key")
);
INSERT INTO "transcripts" VALUES('history','a30e74910c7b357a7bce4fa5c9c6ed251e77ce6b','doc','ask','clerk','{"model": "m", "turn_id": "{run}", "conversation": "{thread}", "prompt": "Book oak.", "answer": null, "error": "RunServerError: it failed", "calls": [], "citations": [], "usage": {}, "attempts": 1, "seconds": 0.5}',1795913420.5,1,'0.1.0');
CREATE INDEX operations_by_worker ON operations (worker, state);
CREATE INDEX tool_calls_by_operation ON tool_calls (scope, operation_key);
CREATE INDEX resources_by_owner ON resources (scope, owner, state);
CREATE INDEX resources_by_operation ON resources (scope, operation_key);
CREATE INDEX documents_by_status ON documents (scope, batch, status);
CREATE INDEX resources_by_state ON resources (scope, state);
CREATE INDEX decisions_by_state ON decisions (scope, state);
CREATE INDEX decisions_by_owner ON decisions (scope, owner);
CREATE INDEX reviews_by_document ON reviews (scope, batch, document);
CREATE INDEX transcripts_by_owner ON transcripts (scope, owner);
CREATE INDEX transcripts_by_age ON transcripts (kept_at);
COMMIT;
