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
INSERT INTO "answers" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','first','3423c85a917d7c5c739518314d4760b44b9c0ee7','f72f2fd8691d35b4628b811a9593d4b1e4c00952','answered','{"id": "first", "question": "Which papers are there?", "answer": "P-1 and P-2. [1]", "sources": ["b.txt"], "citations": [{"mark": "\u30104:0\u2020source\u3011", "file_id": "assistant-LtxObmxGbZoEBGPSSN8g0O", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null}], "error": null, "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_tStbpQ4jSCbAMu4X1rml8vlP"}}',1.79590160935718107229e+09,1,'0.1.0');
INSERT INTO "answers" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','second','3423c85a917d7c5c739518314d4760b44b9c0ee7','85adbaaf8f88888542ae15c5f2af176058ab87ef','answered','{"id": "second", "question": "How many are there?", "answer": "Two.", "sources": [], "citations": [], "error": null, "usage": {"prompt_tokens": 26, "completion_tokens": 1, "total_tokens": 27}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_IrD2wxKmECwlILDLDpRekyHC"}}',1.79590160941332864759e+09,1,'0.1.0');
INSERT INTO "answers" VALUES('history','8b593bfea1c35480d2dc7fb38a0bbc48fe5b3245','first','3423c85a917d7c5c739518314d4760b44b9c0ee7','da3065cbe2c8c7a87e862cf574f1912d5e490c45','answered','{"id": "first", "question": "Which papers are there?", "answer": "P-1 and P-2. [1]", "sources": ["b.txt"], "citations": [{"mark": "\u30104:0\u2020source\u3011", "file_id": "{file_1}", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null}], "error": null, "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_G6dVImlfYhujAB7lipaP2IBU"}}',1.79590160983412766449e+09,1,'0.1.0');
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
INSERT INTO "documents" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','a.txt','1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d','99a7c8b23bd3e77bff2fd6bd2fafb3ca47248a24','done','{"document": "a.txt", "status": "done", "reasons": [], "fields": {"number": "P-1"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-1", "offset": 6, "excerpt": "Paper P-1."}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_YDPgJ3PTrOPi7iXgRT41QKaV"}, "seconds": 0.332, "content_hash": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d", "readable": true}',1.79590160785104846954e+09,1,'0.1.0');
INSERT INTO "documents" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','b.txt','ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7','99a7c8b23bd3e77bff2fd6bd2fafb3ca47248a24','done','{"document": "b.txt", "status": "done", "reasons": [], "fields": {"number": "P-2"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-2", "offset": 6, "excerpt": "Paper P-2."}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_iEWthQF5rJDgkiTjJQ3yL0By"}, "seconds": 0.035, "content_hash": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7", "readable": true}',1.79590160791679930691e+09,1,'0.1.0');
INSERT INTO "documents" VALUES('history','8b593bfea1c35480d2dc7fb38a0bbc48fe5b3245','a.txt','1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d','81a70038b9b432ce12e55ea5969bf1e02e57306d','done','{"document": "a.txt", "status": "done", "reasons": [], "fields": {"number": "P-1"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-1", "offset": 6, "excerpt": "Paper P-1."}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_JoLwvSYRlHy94nndJo5SDin1"}, "seconds": 0.051, "content_hash": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d", "readable": true}',1.79590160967956805233e+09,1,'0.1.0');
INSERT INTO "documents" VALUES('history','8b593bfea1c35480d2dc7fb38a0bbc48fe5b3245','b.txt','ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7','81a70038b9b432ce12e55ea5969bf1e02e57306d','done','{"document": "b.txt", "status": "done", "reasons": [], "fields": {"number": "P-2"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-2", "offset": 6, "excerpt": "Paper P-2."}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_dzDBVJUmZxOVnkOtmWG2Jczb"}, "seconds": 0.036, "content_hash": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7", "readable": true}',1.7959016097363989353e+09,1,'0.1.0');
CREATE TABLE flow_runs (
	id VARCHAR(300) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	noted_at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "flow_runs" VALUES('0f1c7a52-8d0e-4c58-9a6f-3f6f5f0f7f10','papers:8b593bfea1c3',1.7959016095891189575e+09);
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
INSERT INTO "leases" VALUES('history','1377c3046a9611153fabb0f4543e1438f5d56ee8','member','papers:8b593bfea1c3',NULL,'worker.1.0123456789ab',1.79590166959515929226e+09,1.79590160959515929219e+09);
INSERT INTO "leases" VALUES('history','9b552fcfb1d577f28cf8593172409270832747c5','document','papers:8b593bfea1c3','b.txt','worker.1.0123456789ab',1.79590166959515929226e+09,1.79590160959515929219e+09);
INSERT INTO "leases" VALUES('history','66455dcf578d081fd4ef79e05dedc5459495ae35','name','papers:8b593bfea1c3',NULL,'worker.1.0123456789ab',1.79590166961828541754e+09,1.79590160961828541755e+09);
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
INSERT INTO "operations" VALUES('history','e29c92482c953c69e681b215d7769ba38f1c7d38','agent','{"agent": "finished-extractor", "model": "m", "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79590166752595496182e+09,'{}','{"id": "asst_s68OagharalIZikcZtNTaBaM"}','null',1.79590160752595496174e+09,1.79590160950421595578e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','a2db83b89a39eff057663378a597d33b0f0fd12d','turn','{"step": "extract", "agent": "finished-extractor", "owner": "finished:d2902c3bd6cf/a.txt", "after": null, "prompt": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d"}','done',1,'worker.1.0123456789ab',1.79590166762290501592e+09,'{"conversation":"thread_tCusbHaZV08lIQJbz2Gz6IsJ","turn_id":"run_YDPgJ3PTrOPi7iXgRT41QKaV"}','{"key": "a2db83b89a39eff057663378a597d33b0f0fd12d", "turn_id": "run_YDPgJ3PTrOPi7iXgRT41QKaV", "conversation": "thread_tCusbHaZV08lIQJbz2Gz6IsJ", "text": "{\"number\": \"P-1\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.79590160762290501593e+09,1.79590160784130668638e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','5b94870b45f719ec458ccbab16bde88f2ac27caf','turn','{"step": "extract", "agent": "finished-extractor", "owner": "finished:d2902c3bd6cf/b.txt", "after": null, "prompt": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7"}','done',1,'worker.1.0123456789ab',1.79590166788489770887e+09,'{"conversation":"thread_67zhSrvcdGkjNQQa533llgmX","turn_id":"run_iEWthQF5rJDgkiTjJQ3yL0By"}','{"key": "5b94870b45f719ec458ccbab16bde88f2ac27caf", "turn_id": "run_iEWthQF5rJDgkiTjJQ3yL0By", "conversation": "thread_67zhSrvcdGkjNQQa533llgmX", "text": "{\"number\": \"P-2\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.79590160788489770892e+09,1.79590160790667581558e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','fe2237077b4ac0f2d006895846273ac9f0f722b8','upload','{"name": "a.txt", "bytes": 10, "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79590166825382447244e+09,'{}','{"id": "assistant-xmstCIWtL2L4qT3C3eWfmi"}','null',1.79590160825382447237e+09,1.79590160956034779549e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','79db330b3d4b9ccb22db6a34947af7e10bfd19cb','upload','{"name": "b.txt", "bytes": 10, "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79590166828644061088e+09,'{}','{"id": "assistant-LtxObmxGbZoEBGPSSN8g0O"}','null',1.79590160828644061089e+09,1.79590160957185244559e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','d25f5303e371070ba858ed4596d567c2f9f794a5','store','{"name": "finished", "files": 2, "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79590166830696964257e+09,'{"store":"vs_B6YXj9eZGQX3Q8jx1YpddqLu"}','{"id": "vs_B6YXj9eZGQX3Q8jx1YpddqLu", "file_ids": ["assistant-xmstCIWtL2L4qT3C3eWfmi", "assistant-LtxObmxGbZoEBGPSSN8g0O"], "failed": {}}','null',1.79590160830696964262e+09,1.79590160953883695607e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','9b5898a51e90ea9fb9cf5306962cb0f7ba6e23e7','agent','{"agent": "finished-analyst", "model": "m", "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79590166926436257356e+09,'{}','{"id": "asst_E2QZSx4ADilpWnVLG0EFDnP3"}','null',1.79590160926436257361e+09,1.79590160952282118793e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','48a4036b671a329051a1f5d45e911637048e144c','turn','{"step": "question-first", "agent": "finished-analyst", "owner": "finished:d2902c3bd6cf/question/first", "after": null, "prompt": "6ae855f8384a1a2680161298506d0e4db86a16c8bdda06ad3db0b1ab89649ccd"}','done',1,'worker.1.0123456789ab',1.79590166928580451015e+09,'{"conversation":"thread_Ofj2I1vTAz3WGdLCkVmP94ns","turn_id":"run_tStbpQ4jSCbAMu4X1rml8vlP"}','{"key": "48a4036b671a329051a1f5d45e911637048e144c", "turn_id": "run_tStbpQ4jSCbAMu4X1rml8vlP", "conversation": "thread_Ofj2I1vTAz3WGdLCkVmP94ns", "text": "P-1 and P-2.\u30104:0\u2020source\u3011", "citations": [{"mark": "\u30104:0\u2020source\u3011", "file_id": "assistant-LtxObmxGbZoEBGPSSN8g0O", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null}], "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "tool_calls": [], "attempts": 1}','null',1.79590160928580451016e+09,1.79590160935222315787e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','2e674400e8ae19738d20eb6796e3a24adefd37e0','turn','{"step": "question-second", "agent": "finished-analyst", "owner": "finished:d2902c3bd6cf/question/second", "after": null, "prompt": "acfdd6589ce92dc70746dfa9134d47f2a2f445559eb787e1cc9371bd6d174dd2"}','done',1,'worker.1.0123456789ab',1.79590166938433074949e+09,'{"conversation":"thread_u4Pp323LsIj4vUqxaNI4R5ng","turn_id":"run_IrD2wxKmECwlILDLDpRekyHC"}','{"key": "2e674400e8ae19738d20eb6796e3a24adefd37e0", "turn_id": "run_IrD2wxKmECwlILDLDpRekyHC", "conversation": "thread_u4Pp323LsIj4vUqxaNI4R5ng", "text": "Two.", "citations": [], "usage": {"prompt_tokens": 26, "completion_tokens": 1, "total_tokens": 27}, "tool_calls": [], "attempts": 1}','null',1.7959016093843307495e+09,1.79590160940962839121e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','1efcb8d1a48b11403f05ebb0df082b528f6b1a4d','agent','{"agent": "papers-extractor", "model": "m", "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79590166963188886638e+09,'{}','{"id": "{extractor}"}','null',1.79590160963188886643e+09,1.79590160964444184301e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','f885f25975d3f0fdb3845836775a54c2be08b984','turn','{"step": "extract", "agent": "papers-extractor", "owner": "papers:8b593bfea1c3/a.txt", "after": null, "prompt": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d"}','done',1,'worker.1.0123456789ab',1.79590166964895367627e+09,'{"conversation":"thread_JxnHWr9hLvOoIaHcXmvn4CrQ","turn_id":"run_JoLwvSYRlHy94nndJo5SDin1"}','{"key": "f885f25975d3f0fdb3845836775a54c2be08b984", "turn_id": "run_JoLwvSYRlHy94nndJo5SDin1", "conversation": "thread_JxnHWr9hLvOoIaHcXmvn4CrQ", "text": "{\"number\": \"P-1\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.7959016096489536762e+09,1.79590160967571544651e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','9492cda611a58cddf750b69255cb5733f3c30faa','turn','{"step": "extract", "agent": "papers-extractor", "owner": "papers:8b593bfea1c3/b.txt", "after": null, "prompt": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7"}','done',1,'worker.1.0123456789ab',1.79590166970260906214e+09,'{"conversation":"thread_gikhXccZvTAtJnfTE06FfEHQ","turn_id":"run_dzDBVJUmZxOVnkOtmWG2Jczb"}','{"key": "9492cda611a58cddf750b69255cb5733f3c30faa", "turn_id": "run_dzDBVJUmZxOVnkOtmWG2Jczb", "conversation": "thread_gikhXccZvTAtJnfTE06FfEHQ", "text": "{\"number\": \"P-2\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.79590160970260906219e+09,1.79590160972692012781e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','593911a363392c71bda4eea7fc5a7aceb97fdaeb','upload','{"name": "a.txt", "bytes": 10, "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79590166976862716675e+09,'{}','{"id": "{file_0}"}','null',1.79590160976862716667e+09,1.79590160977671360964e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','637cb8a08e66ff81973b61d1e8f6bcb1d18ebc08','upload','{"name": "b.txt", "bytes": 10, "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79590166978040122981e+09,'{}','{"id": "{file_1}"}','null',1.79590160978040122986e+09,1795901609.79017,1,'0.1.0');
INSERT INTO "operations" VALUES('history','cdb97177baf3a251247c682c9e0594f6a4f2cc8a','store','{"name": "papers", "files": 2, "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79590166979159617422e+09,'{"store":"{store}"}','{"id": "{store}", "file_ids": ["{file_0}", "{file_1}"], "failed": {}}','null',1.79590160979159617427e+09,1.79590160980656361579e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','14f0a3ac540a6bbc140ac4a0958eea8c4962f8ba','agent','{"agent": "papers-analyst", "model": "m", "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79590166980766081806e+09,'{}','{"id": "{analyst}"}','null',1.79590160980766081811e+09,1.79590160981336188317e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','b604246d2e951d1c79420ce02bb1c612875d80a2','turn','{"step": "question-first", "agent": "papers-analyst", "owner": "papers:8b593bfea1c3/question/first", "after": null, "prompt": "6ae855f8384a1a2680161298506d0e4db86a16c8bdda06ad3db0b1ab89649ccd"}','done',1,'worker.1.0123456789ab',1.79590166981463122365e+09,'{"conversation":"thread_NXlIFT9cRvYpZheGqUJNzRlZ","turn_id":"run_G6dVImlfYhujAB7lipaP2IBU"}','{"key": "b604246d2e951d1c79420ce02bb1c612875d80a2", "turn_id": "run_G6dVImlfYhujAB7lipaP2IBU", "conversation": "thread_NXlIFT9cRvYpZheGqUJNzRlZ", "text": "P-1 and P-2.\u30104:0\u2020source\u3011", "citations": [{"mark": "\u30104:0\u2020source\u3011", "file_id": "{file_1}", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null}], "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "tool_calls": [], "attempts": 1}','null',1.7959016098146312237e+09,1.79590160983240914346e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','9312bd774fd9f27ed8b5a6df468f7463ac28ecbe','turn','{"step": "question-second", "agent": "papers-analyst", "owner": "papers:8b593bfea1c3/question/second", "after": null, "prompt": "acfdd6589ce92dc70746dfa9134d47f2a2f445559eb787e1cc9371bd6d174dd2"}','attached',1,'worker.1.0123456789ab',1.79590166984501457218e+09,'{"conversation":"{thread}","turn_id":"{run}"}','null','null',1.7959016098450145721e+09,1.79590160985937452317e+09,1,'0.1.0');
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
INSERT INTO "resources" VALUES('history','agent','asst_s68OagharalIZikcZtNTaBaM','e29c92482c953c69e681b215d7769ba38f1c7d38','finished:d2902c3bd6cf','finished-extractor','deleted',1.79590160761691927911e+09,1.79598800761691927913e+09,1.79590160950421595578e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_tCusbHaZV08lIQJbz2Gz6IsJ','a2db83b89a39eff057663378a597d33b0f0fd12d','finished:d2902c3bd6cf/a.txt','extract','deleted',1.79590160778655743602e+09,1.79598800778655743595e+09,1.79590160787619304658e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_67zhSrvcdGkjNQQa533llgmX','5b94870b45f719ec458ccbab16bde88f2ac27caf','finished:d2902c3bd6cf/b.txt','extract','deleted',1.79590160789548397056e+09,1.79598800789548397062e+09,1.79590160793128061295e+09);
INSERT INTO "resources" VALUES('history','file','assistant-xmstCIWtL2L4qT3C3eWfmi','fe2237077b4ac0f2d006895846273ac9f0f722b8','finished:d2902c3bd6cf','a.txt','deleted',1.79590160828262281412e+09,1.79598800828262281418e+09,1.79590160956034779549e+09);
INSERT INTO "resources" VALUES('history','file','assistant-LtxObmxGbZoEBGPSSN8g0O','79db330b3d4b9ccb22db6a34947af7e10bfd19cb','finished:d2902c3bd6cf','b.txt','deleted',1.79590160830481910701e+09,1.79598800830481910703e+09,1.79590160957185244559e+09);
INSERT INTO "resources" VALUES('history','store','vs_B6YXj9eZGQX3Q8jx1YpddqLu','d25f5303e371070ba858ed4596d567c2f9f794a5','finished:d2902c3bd6cf','finished','deleted',1.79590160833400726315e+09,1.79598800833400726317e+09,1.79590160953883695607e+09);
INSERT INTO "resources" VALUES('history','agent','asst_E2QZSx4ADilpWnVLG0EFDnP3','9b5898a51e90ea9fb9cf5306962cb0f7ba6e23e7','finished:d2902c3bd6cf','finished-analyst','deleted',1.79590160928242611885e+09,1.79598800928242611886e+09,1.79590160952282118793e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_Ofj2I1vTAz3WGdLCkVmP94ns','48a4036b671a329051a1f5d45e911637048e144c','finished:d2902c3bd6cf/question/first','question-first','deleted',1.7959016092966053486e+09,1.79598800929660534862e+09,1.79590160938144302368e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_u4Pp323LsIj4vUqxaNI4R5ng','2e674400e8ae19738d20eb6796e3a24adefd37e0','finished:d2902c3bd6cf/question/second','question-second','deleted',1.7959016093973448276e+09,1.79598800939734482766e+09,1.7959016094264428616e+09);
INSERT INTO "resources" VALUES('history','agent','{extractor}','1efcb8d1a48b11403f05ebb0df082b528f6b1a4d','papers:8b593bfea1c3','papers-extractor','live',1.79590160964444780352e+09,1.79598800964444780354e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','thread_JxnHWr9hLvOoIaHcXmvn4CrQ','f885f25975d3f0fdb3845836775a54c2be08b984','papers:8b593bfea1c3/a.txt','extract','deleted',1.79590160966550374034e+09,1.79598800966550374027e+09,1.79590160969544720644e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_gikhXccZvTAtJnfTE06FfEHQ','9492cda611a58cddf750b69255cb5733f3c30faa','papers:8b593bfea1c3/b.txt','extract','deleted',1.79590160971833562851e+09,1.79598800971833562857e+09,1.79590160975249433518e+09);
INSERT INTO "resources" VALUES('history','file','{file_0}','593911a363392c71bda4eea7fc5a7aceb97fdaeb','papers:8b593bfea1c3','a.txt','live',1.79590160977671861649e+09,1.79598800977671861642e+09,NULL);
INSERT INTO "resources" VALUES('history','file','{file_1}','637cb8a08e66ff81973b61d1e8f6bcb1d18ebc08','papers:8b593bfea1c3','b.txt','live',1.79590160979017424581e+09,1.79598800979017424583e+09,NULL);
INSERT INTO "resources" VALUES('history','store','{store}','cdb97177baf3a251247c682c9e0594f6a4f2cc8a','papers:8b593bfea1c3','papers','live',1.79590160980024433129e+09,1.79598800980024433135e+09,NULL);
INSERT INTO "resources" VALUES('history','agent','{analyst}','14f0a3ac540a6bbc140ac4a0958eea8c4962f8ba','papers:8b593bfea1c3','papers-analyst','live',1.79590160981336545943e+09,1.79598800981336545945e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','thread_NXlIFT9cRvYpZheGqUJNzRlZ','b604246d2e951d1c79420ce02bb1c612875d80a2','papers:8b593bfea1c3/question/first','question-first','deleted',1.79590160982052731517e+09,1.7959880098205273151e+09,1.79590160984281015394e+09);
INSERT INTO "resources" VALUES('history','conversation','{thread}','9312bd774fd9f27ed8b5a6df468f7463ac28ecbe','papers:8b593bfea1c3/question/second','question-second','live',1.79590160985937452317e+09,1.79598800985937452319e+09,NULL);
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
INSERT INTO "runs" VALUES('history','finished:d2902c3bd6cf',1,'worker.1.0123456789ab',1.79590160750400233266e+09,1.79590160957758808134e+09,'{"summary": {"pipeline": "finished", "documents": "{folder}/finished", "total": 2, "done": 2, "needs_review": 0, "failed": 0, "reused": 0, "by_others": 0, "answers": [{"id": "first", "question": "Which papers are there?", "answer": "P-1 and P-2. [1]", "sources": ["b.txt"], "citations": [{"mark": "\u30104:0\u2020source\u3011", "file_id": "assistant-LtxObmxGbZoEBGPSSN8g0O", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null}], "error": null, "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_tStbpQ4jSCbAMu4X1rml8vlP"}}, {"id": "second", "question": "How many are there?", "answer": "Two.", "sources": [], "citations": [], "error": null, "usage": {"prompt_tokens": 26, "completion_tokens": 1, "total_tokens": 27}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_IrD2wxKmECwlILDLDpRekyHC"}}], "warnings": [], "turns": 4, "turns_reused": 0, "usage": {"prompt_tokens": 72, "completion_tokens": 14, "total_tokens": 86}, "usage_total": {"prompt_tokens": 72, "completion_tokens": 14, "total_tokens": 86}, "seconds": 0.0, "results": "{folder}/finished-out/results.jsonl", "report": "{folder}/finished-out/report.md", "reasons": {}}, "batch": "d2902c3bd6cfdd57d97f1dd675328af08b965f61", "documents": "{folder}/finished", "pipeline_file": "{folder}/finished.yaml", "out": "{folder}/finished-out", "steps": {"extract": "09b0b48549d24a25435b1cdbd3e139a7520d70ca", "review": "45751fd71ef640691d66d66a873d4d9b36ec05a7", "questions": "970d0f46f86d1c1384554bbbfb73f455400a25dd"}}',1,'0.1.0');
INSERT INTO "runs" VALUES('history','papers:8b593bfea1c3',1,'worker.1.0123456789ab',1.79590160961828541755e+09,NULL,NULL,1,'0.1.0');
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
CREATE INDEX operations_by_worker ON operations (worker, state);
CREATE INDEX tool_calls_by_operation ON tool_calls (scope, operation_key);
CREATE INDEX resources_by_owner ON resources (scope, owner, state);
CREATE INDEX resources_by_operation ON resources (scope, operation_key);
CREATE INDEX documents_by_status ON documents (scope, batch, status);
CREATE INDEX resources_by_state ON resources (scope, state);
COMMIT;
