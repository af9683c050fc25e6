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
INSERT INTO "answers" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','first','3423c85a917d7c5c739518314d4760b44b9c0ee7','f72f2fd8691d35b4628b811a9593d4b1e4c00952','answered','{"id": "first", "question": "Which papers are there?", "answer": "P-1 and P-2. [1]", "sources": ["b.txt"], "citations": [{"mark": "\u30104:1\u2020source\u3011", "file_id": "assistant-K83PpE6dhDmYUgLRJblMwy", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null, "document": "b.txt", "places": []}], "error": null, "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_eIXyf5oiKXmrQG8SPxsFEJQ5"}}',1.79591341376496219637e+09,1,'0.1.0');
INSERT INTO "answers" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','second','3423c85a917d7c5c739518314d4760b44b9c0ee7','85adbaaf8f88888542ae15c5f2af176058ab87ef','answered','{"id": "second", "question": "How many are there?", "answer": "Two.", "sources": [], "citations": [], "error": null, "usage": {"prompt_tokens": 26, "completion_tokens": 1, "total_tokens": 27}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_6PboPQ89jY5H6h7RoZ3EHdet"}}',1.79591341448557567598e+09,1,'0.1.0');
INSERT INTO "answers" VALUES('history','8b593bfea1c35480d2dc7fb38a0bbc48fe5b3245','first','3423c85a917d7c5c739518314d4760b44b9c0ee7','da3065cbe2c8c7a87e862cf574f1912d5e490c45','answered','{"id": "first", "question": "Which papers are there?", "answer": "P-1 and P-2. [1]", "sources": ["b.txt"], "citations": [{"mark": "\u30104:0\u2020source\u3011", "file_id": "{file_1}", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null, "document": "b.txt", "places": []}], "error": null, "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_jkKxDqIegaaKLfi5QKhEzZo8"}}',1.7959134281801898479e+09,1,'0.1.0');
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
INSERT INTO "documents" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','a.txt','1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d','99a7c8b23bd3e77bff2fd6bd2fafb3ca47248a24','done','{"document": "a.txt", "status": "done", "parent": null, "attachments": [], "reasons": [], "notes": [], "unread": [], "fields": {"number": "P-1"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-1", "offset": 6, "end": 9, "quote": "P-1", "how": "exact", "occurrences": 1, "note": null, "excerpt": "Paper P-1.", "places": [], "picture": null}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_SEMuEDak0jeYsQmPdQs0Oq8j"}, "seconds": 9.088, "content_hash": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d", "readable": true}',1.79591339693464040758e+09,1,'0.1.0');
INSERT INTO "documents" VALUES('history','d2902c3bd6cfdd57d97f1dd675328af08b965f61','b.txt','ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7','99a7c8b23bd3e77bff2fd6bd2fafb3ca47248a24','done','{"document": "b.txt", "status": "done", "parent": null, "attachments": [], "reasons": [], "notes": [], "unread": [], "fields": {"number": "P-2"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-2", "offset": 6, "end": 9, "quote": "P-2", "how": "exact", "occurrences": 1, "note": null, "excerpt": "Paper P-2.", "places": [], "picture": null}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_gUKMf7Z3go8sIBXB61bvnd7e"}, "seconds": 0.542, "content_hash": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7", "readable": true}',1.79591339753814768784e+09,1,'0.1.0');
INSERT INTO "documents" VALUES('history','8b593bfea1c35480d2dc7fb38a0bbc48fe5b3245','a.txt','1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d','81a70038b9b432ce12e55ea5969bf1e02e57306d','done','{"document": "a.txt", "status": "done", "parent": null, "attachments": [], "reasons": [], "notes": [], "unread": [], "fields": {"number": "P-1"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-1", "offset": 6, "end": 9, "quote": "P-1", "how": "exact", "occurrences": 1, "note": null, "excerpt": "Paper P-1.", "places": [], "picture": null}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_Us272VtV5Tktg4PBlmzPjLa2"}, "seconds": 3.301, "content_hash": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d", "readable": true}',1.79591341997682237626e+09,1,'0.1.0');
INSERT INTO "documents" VALUES('history','8b593bfea1c35480d2dc7fb38a0bbc48fe5b3245','b.txt','ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7','81a70038b9b432ce12e55ea5969bf1e02e57306d','done','{"document": "b.txt", "status": "done", "parent": null, "attachments": [], "reasons": [], "notes": [], "unread": [], "fields": {"number": "P-2"}, "answer": null, "grounding": [{"path": "number", "kind": "exact", "status": "found", "value": "P-2", "offset": 6, "end": 9, "quote": "P-2", "how": "exact", "occurrences": 1, "note": null, "excerpt": "Paper P-2.", "places": [], "picture": null}], "review": null, "error": null, "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "step_usage": {"extract": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}, "turns": 1, "tool_calls": [], "ids": {"extract": "run_cNLZCoj0cOlPvM6pmJCvsmMA"}, "seconds": 0.406, "content_hash": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7", "readable": true}',1.79591342039198827748e+09,1,'0.1.0');
CREATE TABLE flow_runs (
	id VARCHAR(300) NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	noted_at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "flow_runs" VALUES('0f1c7a52-8d0e-4c58-9a6f-3f6f5f0f7f10','papers:8b593bfea1c3',1.79591341614199924469e+09);
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
INSERT INTO "leases" VALUES('history','1377c3046a9611153fabb0f4543e1438f5d56ee8','member','papers:8b593bfea1c3',NULL,'worker.1.0123456789ab',1.79591348800669407849e+09,1.79591341618259310725e+09);
INSERT INTO "leases" VALUES('history','9b552fcfb1d577f28cf8593172409270832747c5','document','papers:8b593bfea1c3','b.txt','worker.1.0123456789ab',1.79591348800669407849e+09,1.79591341618259310725e+09);
INSERT INTO "leases" VALUES('history','66455dcf578d081fd4ef79e05dedc5459495ae35','name','papers:8b593bfea1c3',NULL,'worker.1.0123456789ab',1.79591348800669407849e+09,1.79591341663295722e+09);
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
INSERT INTO "operations" VALUES('history','e29c92482c953c69e681b215d7769ba38f1c7d38','agent','{"agent": "finished-extractor", "model": "m", "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79591345437616276741e+09,'{}','{"id": "asst_FS92s9vAOILDXl7iTmgJQ6tG"}','null',1.79591339437616276742e+09,1.79591341534332203863e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','a2db83b89a39eff057663378a597d33b0f0fd12d','turn','{"step": "extract", "agent": "finished-extractor", "owner": "finished:d2902c3bd6cf/a.txt", "after": null, "prompt": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d"}','done',1,'worker.1.0123456789ab',1.79591345525296974174e+09,'{"conversation":"thread_7ElWUIteKSLdxwR2pOjlJqrd","turn_id":"run_SEMuEDak0jeYsQmPdQs0Oq8j"}','{"key": "a2db83b89a39eff057663378a597d33b0f0fd12d", "turn_id": "run_SEMuEDak0jeYsQmPdQs0Oq8j", "conversation": "thread_7ElWUIteKSLdxwR2pOjlJqrd", "text": "{\"number\": \"P-1\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.7959133952529697418e+09,1.79591339691771912571e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','5b94870b45f719ec458ccbab16bde88f2ac27caf','turn','{"step": "extract", "agent": "finished-extractor", "owner": "finished:d2902c3bd6cf/b.txt", "after": null, "prompt": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7"}','done',1,'worker.1.0123456789ab',1.79591345720949530605e+09,'{"conversation":"thread_UhZCwiAjq3azK5DYf4O6UE4D","turn_id":"run_gUKMf7Z3go8sIBXB61bvnd7e"}','{"key": "5b94870b45f719ec458ccbab16bde88f2ac27caf", "turn_id": "run_gUKMf7Z3go8sIBXB61bvnd7e", "conversation": "thread_UhZCwiAjq3azK5DYf4O6UE4D", "text": "{\"number\": \"P-2\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.79591339720949530597e+09,1.79591339749769544602e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','fe2237077b4ac0f2d006895846273ac9f0f722b8','upload','{"name": "a.txt", "bytes": 10, "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79591345785986709589e+09,'{}','{"id": "assistant-IaWfexdUxlGa1NHnAEKkrQ"}','null',1.7959133978598670959e+09,1.79591341573729562763e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','79db330b3d4b9ccb22db6a34947af7e10bfd19cb','upload','{"name": "b.txt", "bytes": 10, "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79591345801403141023e+09,'{}','{"id": "assistant-K83PpE6dhDmYUgLRJblMwy"}','null',1.79591339801403141029e+09,1.79591341601909136767e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','d25f5303e371070ba858ed4596d567c2f9f794a5','store','{"name": "finished", "files": 2, "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79591346777251648905e+09,'{"store":"vs_Vf7uSkSRXXwerayfSY2malWL"}','{"id": "vs_Vf7uSkSRXXwerayfSY2malWL", "file_ids": ["assistant-IaWfexdUxlGa1NHnAEKkrQ", "assistant-K83PpE6dhDmYUgLRJblMwy"], "failed": {}}','null',1.79591339818520021433e+09,1.79591341550559186932e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','9b5898a51e90ea9fb9cf5306962cb0f7ba6e23e7','agent','{"agent": "finished-analyst", "model": "m", "owner": "finished:d2902c3bd6cf"}','released',1,'worker.1.0123456789ab',1.79591347090323019027e+09,'{}','{"id": "asst_4Gs4kncPid93zbZYDLWJEAKE"}','null',1.79591341090323019027e+09,1.79591341540713739398e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','48a4036b671a329051a1f5d45e911637048e144c','turn','{"step": "question-first", "agent": "finished-analyst", "owner": "finished:d2902c3bd6cf/question/first", "after": null, "prompt": "6ae855f8384a1a2680161298506d0e4db86a16c8bdda06ad3db0b1ab89649ccd"}','done',1,'worker.1.0123456789ab',1.79591347106357407566e+09,'{"conversation":"thread_F1A2WVmY12t9A8whma0dfcLs","turn_id":"run_eIXyf5oiKXmrQG8SPxsFEJQ5"}','{"key": "48a4036b671a329051a1f5d45e911637048e144c", "turn_id": "run_eIXyf5oiKXmrQG8SPxsFEJQ5", "conversation": "thread_F1A2WVmY12t9A8whma0dfcLs", "text": "P-1 and P-2.\u30104:1\u2020source\u3011", "citations": [{"mark": "\u30104:1\u2020source\u3011", "file_id": "assistant-K83PpE6dhDmYUgLRJblMwy", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null}], "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "tool_calls": [], "attempts": 1}','null',1.79591341106357407567e+09,1.79591341375463771825e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','2e674400e8ae19738d20eb6796e3a24adefd37e0','turn','{"step": "question-second", "agent": "finished-analyst", "owner": "finished:d2902c3bd6cf/question/second", "after": null, "prompt": "acfdd6589ce92dc70746dfa9134d47f2a2f445559eb787e1cc9371bd6d174dd2"}','done',1,'worker.1.0123456789ab',1.7959134740007653236e+09,'{"conversation":"thread_ezBghrwtbgIpkMFDlm85YfeR","turn_id":"run_6PboPQ89jY5H6h7RoZ3EHdet"}','{"key": "2e674400e8ae19738d20eb6796e3a24adefd37e0", "turn_id": "run_6PboPQ89jY5H6h7RoZ3EHdet", "conversation": "thread_ezBghrwtbgIpkMFDlm85YfeR", "text": "Two.", "citations": [], "usage": {"prompt_tokens": 26, "completion_tokens": 1, "total_tokens": 27}, "tool_calls": [], "attempts": 1}','null',1.79591341400076532361e+09,1.79591341444307589537e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','1efcb8d1a48b11403f05ebb0df082b528f6b1a4d','agent','{"agent": "papers-extractor", "model": "m", "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79591347963880157466e+09,'{}','{"id": "{extractor}"}','null',1.79591341963880157467e+09,1.79591341977288508416e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','f885f25975d3f0fdb3845836775a54c2be08b984','turn','{"step": "extract", "agent": "papers-extractor", "owner": "papers:8b593bfea1c3/a.txt", "after": null, "prompt": "1a772dd9aa98b8fdc0b33be1ea2c071f16d6752eaff1682e87a5091c9c8c339d"}','done',1,'worker.1.0123456789ab',1.79591347981821775441e+09,'{"conversation":"thread_FL2AhnyJ2ViHrRo5qlisd84H","turn_id":"run_Us272VtV5Tktg4PBlmzPjLa2"}','{"key": "f885f25975d3f0fdb3845836775a54c2be08b984", "turn_id": "run_Us272VtV5Tktg4PBlmzPjLa2", "conversation": "thread_FL2AhnyJ2ViHrRo5qlisd84H", "text": "{\"number\": \"P-1\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.79591341981821775433e+09,1.79591341994327259061e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','9492cda611a58cddf750b69255cb5733f3c30faa','turn','{"step": "extract", "agent": "papers-extractor", "owner": "papers:8b593bfea1c3/b.txt", "after": null, "prompt": "ab94ad2e4d7ef68669623987cb8064401dbd51dc790eedf253aff0abfe25a1d7"}','done',1,'worker.1.0123456789ab',1.79591348007033443446e+09,'{"conversation":"thread_EiRFHT76kAZqYbzZLPrTseYn","turn_id":"run_cNLZCoj0cOlPvM6pmJCvsmMA"}','{"key": "9492cda611a58cddf750b69255cb5733f3c30faa", "turn_id": "run_cNLZCoj0cOlPvM6pmJCvsmMA", "conversation": "thread_EiRFHT76kAZqYbzZLPrTseYn", "text": "{\"number\": \"P-2\"}", "citations": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, "tool_calls": [], "attempts": 1}','null',1.79591342007033443447e+09,1.79591342035508322715e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','593911a363392c71bda4eea7fc5a7aceb97fdaeb','upload','{"name": "a.txt", "bytes": 10, "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79591348060558652875e+09,'{}','{"id": "{file_0}"}','null',1.79591342060558652876e+09,1.79591342077305054667e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','637cb8a08e66ff81973b61d1e8f6bcb1d18ebc08','upload','{"name": "b.txt", "bytes": 10, "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79591348081227350236e+09,'{}','{"id": "{file_1}"}','null',1.79591342081227350237e+09,1.79591342096902632707e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','cdb97177baf3a251247c682c9e0594f6a4f2cc8a','store','{"name": "papers", "files": 2, "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79591348100447487827e+09,'{"store":"{store}"}','{"id": "{store}", "file_ids": ["{file_0}", "{file_1}"], "failed": {}}','null',1.79591342100447487828e+09,1.79591342762089061736e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','14f0a3ac540a6bbc140ac4a0958eea8c4962f8ba','agent','{"agent": "papers-analyst", "model": "m", "owner": "papers:8b593bfea1c3"}','done',1,'worker.1.0123456789ab',1.79591348763640451429e+09,'{}','{"id": "{analyst}"}','null',1.7959134276364045143e+09,1.79591342779918336871e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','b604246d2e951d1c79420ce02bb1c612875d80a2','turn','{"step": "question-first", "agent": "papers-analyst", "owner": "papers:8b593bfea1c3/question/first", "after": null, "prompt": "6ae855f8384a1a2680161298506d0e4db86a16c8bdda06ad3db0b1ab89649ccd"}','done',1,'worker.1.0123456789ab',1.79591348798937940596e+09,'{"conversation":"thread_KKDL4u4rfTCTWa3hKVTugzY2","turn_id":"run_jkKxDqIegaaKLfi5QKhEzZo8"}','{"key": "b604246d2e951d1c79420ce02bb1c612875d80a2", "turn_id": "run_jkKxDqIegaaKLfi5QKhEzZo8", "conversation": "thread_KKDL4u4rfTCTWa3hKVTugzY2", "text": "P-1 and P-2.\u30104:0\u2020source\u3011", "citations": [{"mark": "\u30104:0\u2020source\u3011", "file_id": "{file_1}", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null}], "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "tool_calls": [], "attempts": 1}','null',1.79591342780311369895e+09,1.79591342816311860079e+09,1,'0.1.0');
INSERT INTO "operations" VALUES('history','9312bd774fd9f27ed8b5a6df468f7463ac28ecbe','turn','{"step": "question-second", "agent": "papers-analyst", "owner": "papers:8b593bfea1c3/question/second", "after": null, "prompt": "acfdd6589ce92dc70746dfa9134d47f2a2f445559eb787e1cc9371bd6d174dd2"}','attached',1,'worker.1.0123456789ab',1.79591348831912755966e+09,'{"conversation":"{thread}","turn_id":"{run}"}','null','null',1.79591342831912755958e+09,1.79591342852548027037e+09,1,'0.1.0');
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
INSERT INTO "past_runs" VALUES('history','finished:d2902c3bd6cf',1,1795913387.7,1795913416.1,'{"counts": {"done": 2, "waiting": 0, "needs_review": 0, "rejected": 0, "failed": 0}, "turns": 4, "usage": {"total_tokens": 9}, "cost": null, "evaluated": null}',1,'0.1.0');
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
INSERT INTO "resources" VALUES('history','agent','asst_FS92s9vAOILDXl7iTmgJQ6tG','e29c92482c953c69e681b215d7769ba38f1c7d38','finished:d2902c3bd6cf','finished-extractor','deleted',1.79591339517533206933e+09,1.79599979517533206939e+09,1.79591341534332203863e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_7ElWUIteKSLdxwR2pOjlJqrd','a2db83b89a39eff057663378a597d33b0f0fd12d','finished:d2902c3bd6cf/a.txt','extract','deleted',1.79591339641491603848e+09,1.7959997964149160385e+09,1.7959133972083747387e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_UhZCwiAjq3azK5DYf4O6UE4D','5b94870b45f719ec458ccbab16bde88f2ac27caf','finished:d2902c3bd6cf/b.txt','extract','deleted',1.79591339746193051334e+09,1.7959997974619305134e+09,1.79591339762063717834e+09);
INSERT INTO "resources" VALUES('history','file','assistant-IaWfexdUxlGa1NHnAEKkrQ','fe2237077b4ac0f2d006895846273ac9f0f722b8','finished:d2902c3bd6cf','a.txt','deleted',1.79591339797923970223e+09,1.79599979797923970225e+09,1.79591341573729562763e+09);
INSERT INTO "resources" VALUES('history','file','assistant-K83PpE6dhDmYUgLRJblMwy','79db330b3d4b9ccb22db6a34947af7e10bfd19cb','finished:d2902c3bd6cf','b.txt','deleted',1.795913398157179594e+09,1.79599979815717959406e+09,1.79591341601909136767e+09);
INSERT INTO "resources" VALUES('history','store','vs_Vf7uSkSRXXwerayfSY2malWL','d25f5303e371070ba858ed4596d567c2f9f794a5','finished:d2902c3bd6cf','finished','deleted',1.79591339839254808419e+09,1.79599979839254808426e+09,1.79591341550559186932e+09);
INSERT INTO "resources" VALUES('history','agent','asst_4Gs4kncPid93zbZYDLWJEAKE','9b5898a51e90ea9fb9cf5306962cb0f7ba6e23e7','finished:d2902c3bd6cf','finished-analyst','deleted',1.7959134110282196999e+09,1.79599981102821969983e+09,1.79591341540713739398e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_F1A2WVmY12t9A8whma0dfcLs','48a4036b671a329051a1f5d45e911637048e144c','finished:d2902c3bd6cf/question/first','question-first','deleted',1.79591341114599847795e+09,1.79599981114599847788e+09,1.79591341393593287465e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_ezBghrwtbgIpkMFDlm85YfeR','2e674400e8ae19738d20eb6796e3a24adefd37e0','finished:d2902c3bd6cf/question/second','question-second','deleted',1.79591341442963218686e+09,1.79599981442963218692e+09,1.79591341465011620518e+09);
INSERT INTO "resources" VALUES('history','agent','{extractor}','1efcb8d1a48b11403f05ebb0df082b528f6b1a4d','papers:8b593bfea1c3','papers-extractor','live',1.79591341977288961409e+09,1.79599981977288961415e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','thread_FL2AhnyJ2ViHrRo5qlisd84H','f885f25975d3f0fdb3845836775a54c2be08b984','papers:8b593bfea1c3/a.txt','extract','deleted',1.79591341989551162719e+09,1.79599981989551162712e+09,1.79591342008877420427e+09);
INSERT INTO "resources" VALUES('history','conversation','thread_EiRFHT76kAZqYbzZLPrTseYn','9492cda611a58cddf750b69255cb5733f3c30faa','papers:8b593bfea1c3/b.txt','extract','deleted',1.79591342017953443533e+09,1.79599982017953443526e+09,1.79591342050962424281e+09);
INSERT INTO "resources" VALUES('history','file','{file_0}','593911a363392c71bda4eea7fc5a7aceb97fdaeb','papers:8b593bfea1c3','a.txt','live',1.79591342077305674549e+09,1.79599982077305674555e+09,NULL);
INSERT INTO "resources" VALUES('history','file','{file_1}','637cb8a08e66ff81973b61d1e8f6bcb1d18ebc08','papers:8b593bfea1c3','b.txt','live',1.79591342096903157235e+09,1.79599982096903157229e+09,NULL);
INSERT INTO "resources" VALUES('history','store','{store}','cdb97177baf3a251247c682c9e0594f6a4f2cc8a','papers:8b593bfea1c3','papers','live',1.79591342108925509455e+09,1.79599982108925509448e+09,NULL);
INSERT INTO "resources" VALUES('history','agent','{analyst}','14f0a3ac540a6bbc140ac4a0958eea8c4962f8ba','papers:8b593bfea1c3','papers-analyst','live',1.79591342779918813703e+09,1.79599982779918813709e+09,NULL);
INSERT INTO "resources" VALUES('history','conversation','thread_KKDL4u4rfTCTWa3hKVTugzY2','b604246d2e951d1c79420ce02bb1c612875d80a2','papers:8b593bfea1c3/question/first','question-first','deleted',1.7959134279250509739e+09,1.79599982792505097391e+09,1.79591342827490258217e+09);
INSERT INTO "resources" VALUES('history','conversation','{thread}','9312bd774fd9f27ed8b5a6df468f7463ac28ecbe','papers:8b593bfea1c3/question/second','question-second','live',1.79591342852548027037e+09,1.79599982852548027039e+09,NULL);
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
INSERT INTO "runs" VALUES('history','finished:d2902c3bd6cf',1,'worker.1.0123456789ab',1.79591338772552943227e+09,1.79591341607023525237e+09,'{"summary": {"pipeline": "finished", "documents": "{folder}/finished", "total": 2, "done": 2, "needs_review": 0, "failed": 0, "reused": 0, "by_others": 0, "answers": [{"id": "first", "question": "Which papers are there?", "answer": "P-1 and P-2. [1]", "sources": ["b.txt"], "citations": [{"mark": "\u30104:1\u2020source\u3011", "file_id": "assistant-K83PpE6dhDmYUgLRJblMwy", "file_name": "b.txt", "url": null, "start": 12, "end": 24, "quote": null, "document": "b.txt", "places": []}], "error": null, "usage": {"prompt_tokens": 36, "completion_tokens": 3, "total_tokens": 39}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_eIXyf5oiKXmrQG8SPxsFEJQ5"}}, {"id": "second", "question": "How many are there?", "answer": "Two.", "sources": [], "citations": [], "error": null, "usage": {"prompt_tokens": 26, "completion_tokens": 1, "total_tokens": 27}, "turns": 1, "tool_calls": [], "ids": {"turn": "run_6PboPQ89jY5H6h7RoZ3EHdet"}}], "warnings": [], "turns": 4, "turns_reused": 0, "usage": {"prompt_tokens": 72, "completion_tokens": 14, "total_tokens": 86}, "usage_total": {"prompt_tokens": 72, "completion_tokens": 14, "total_tokens": 86}, "seconds": 0.0, "results": "{folder}/finished-out/results.jsonl", "report": "{folder}/finished-out/report.md", "reasons": {}}, "batch": "d2902c3bd6cfdd57d97f1dd675328af08b965f61", "documents": "{folder}/finished", "pipeline_file": "{folder}/finished.yaml", "out": "{folder}/finished-out", "steps": {"extract": "09b0b48549d24a25435b1cdbd3e139a7520d70ca", "review": "45751fd71ef640691d66d66a873d4d9b36ec05a7", "questions": "970d0f46f86d1c1384554bbbfb73f455400a25dd"}}',1,'0.1.0');
INSERT INTO "runs" VALUES('history','papers:8b593bfea1c3',1,'worker.1.0123456789ab',1.79591341663295722e+09,NULL,NULL,1,'0.1.0');
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
INSERT INTO "transcripts" VALUES('history','a2db83b89a39eff057663378a597d33b0f0fd12d','doc','ask','clerk','{"model": "m", "turn_id": "{run}", "conversation": "{thread}", "prompt": "Book oak.", "answer": null, "error": "RunServerError: it failed", "calls": [], "citations": [], "usage": {}, "attempts": 1, "seconds": 0.5}',1795913420.5,1,'0.1.0');
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
