PRAGMA application_id = 1650945138;
BEGIN TRANSACTION;
CREATE TABLE accounts (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	created_at_us INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (project_id, name), 
	CHECK (name <> ''), 
	FOREIGN KEY(project_id) REFERENCES projects (id)
)
 STRICT

;
INSERT INTO "accounts" VALUES(1,1,'alice',1769891400000000);
INSERT INTO "accounts" VALUES(2,1,'team:research',1769891400000000);
INSERT INTO "accounts" VALUES(3,1,'bob',1769891400000000);
INSERT INTO "accounts" VALUES(4,2,'alice',1769905800000000);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE budget_revisions (
	entry_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	measure TEXT NOT NULL, 
	limit_units INTEGER NOT NULL, 
	limit_pico INTEGER NOT NULL, 
	model TEXT, 
	per TEXT, 
	timezone TEXT NOT NULL, 
	week_start INTEGER NOT NULL, 
	anchor_us INTEGER, 
	span_us INTEGER, 
	created_at REAL NOT NULL, 
	removed INTEGER NOT NULL, 
	PRIMARY KEY (entry_id), 
	CHECK (name <> ''), 
	CHECK (measure IN ('usd', 'tokens', 'requests')), 
	CHECK (limit_units >= 0), 
	CHECK (limit_pico BETWEEN 0 AND 999999999999), 
	CHECK (removed IN (0, 1)), 
	FOREIGN KEY(entry_id) REFERENCES entries (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
)
 STRICT

;
INSERT INTO "budget_revisions" VALUES(1,1,'usd/month','usd',10,0,NULL,'month','Europe/Berlin',0,NULL,NULL,1769891400.0,0);
INSERT INTO "budget_revisions" VALUES(2,1,'tokens/day/gpt-4o','tokens',5000,0,'gpt-4o','day','UTC',0,NULL,NULL,1769891400.0,0);
INSERT INTO "budget_revisions" VALUES(3,1,'pace','requests',9,0,NULL,'rolling','UTC',0,NULL,86400000000,1769891400.0,0);
INSERT INTO "budget_revisions" VALUES(4,2,'usd','usd',1000000000,0,NULL,NULL,'UTC',0,NULL,NULL,1769891400.0,0);
INSERT INTO "budget_revisions" VALUES(5,3,'default','usd',5,0,NULL,'month','UTC',0,1769891400000000,NULL,1769891400.0,0);
INSERT INTO "budget_revisions" VALUES(14,3,'default','usd',6,0,NULL,'month','UTC',0,1769891400000000,NULL,1769891400.0,0);
INSERT INTO "budget_revisions" VALUES(15,1,'pace','requests',9,0,NULL,'rolling','UTC',0,NULL,86400000000,1769891400.0,1);
INSERT INTO "budget_revisions" VALUES(16,4,'usd','usd',1,0,NULL,NULL,'UTC',0,NULL,NULL,1769905800.0,0);
CREATE TABLE entries (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	recorded_at_us INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	model TEXT, 
	cost_pico INTEGER, 
	price_source TEXT, 
	occurred_at_us INTEGER, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	requests INTEGER NOT NULL, 
	unpriced INTEGER NOT NULL, 
	usage TEXT, 
	price TEXT, 
	tags TEXT, 
	note TEXT, 
	corrects_id INTEGER, 
	idempotency_key TEXT, 
	total_usd INTEGER NOT NULL, 
	total_pico INTEGER NOT NULL, 
	total_tokens INTEGER NOT NULL, 
	total_requests INTEGER NOT NULL, 
	total_unpriced INTEGER NOT NULL, 
	model_usd INTEGER, 
	model_pico INTEGER, 
	model_tokens INTEGER, 
	model_requests INTEGER, 
	model_unpriced INTEGER, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (id), 
	CHECK (recorded_at_us >= 0), 
	CHECK (total_pico BETWEEN 0 AND 999999999999), 
	CHECK (model_pico BETWEEN 0 AND 999999999999), 
	CHECK (input_tokens >= 0 AND output_tokens >= 0 AND requests >= 0), 
	CHECK (length(hash) = 32), 
	CHECK ((kind = 'adjustment') = (corrects_id IS NOT NULL)), 
	CHECK (cost_pico >= 0 OR kind = 'adjustment'), 
	CHECK ((model IS NULL) = (model_pico IS NULL)), 
	FOREIGN KEY(account_id) REFERENCES accounts (id), 
	FOREIGN KEY(corrects_id) REFERENCES entries (id)
)
 STRICT

;
INSERT INTO "entries" VALUES(1,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,X'21327832F602C4E02024DA4A29737D8AC0A1B93E61B76BC699EEFFDF4A28FB03');
INSERT INTO "entries" VALUES(2,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,X'9A78651CEB7B39390FE1C863C6355491DB5B0050DB4DDE9B414A0F10DC99FF22');
INSERT INTO "entries" VALUES(3,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,X'C14C5E579D0519865AB69023C9B5CA15D900A9F94840F884F68B965AB68D3711');
INSERT INTO "entries" VALUES(4,1,2,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,X'AD7029497B9299D8C9357F5AFCBB98401EB8796C9E1A7CB72F300CF886D3615D');
INSERT INTO "entries" VALUES(5,1,3,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,X'0410A9ECBC1A30FD251E67B525B5B43544D8DE5DCAA709B443D12DBE7FB50455');
INSERT INTO "entries" VALUES(6,1,1,1769891400000000,'charge','gpt-4o',1250000000000,'given',NULL,0,0,1,0,NULL,NULL,'{"job":"\u00e9"}',NULL,NULL,'k1',1,250000000000,0,1,0,1,250000000000,0,1,0,X'D80F81499BFF7C8CA361F78989E8900BFC87021C04C0EF6E900BBE4A5092CB46');
INSERT INTO "entries" VALUES(7,1,1,1769902200000000,'charge','gpt-4o',1,'given',NULL,1200,300,1,0,'{"input_tokens":1200,"output_tokens":300}',NULL,NULL,NULL,NULL,NULL,1,250000000001,1500,2,0,1,250000000001,1500,2,0,X'E7251EAA68A293869D181BF18A3B1E5D18D7F6B5A16B3ED1AD19497BDAEEE298');
INSERT INTO "entries" VALUES(8,1,3,1769902200000000,'charge','o3',4000000000000,'given',1769891400000000,0,0,1,0,NULL,NULL,NULL,NULL,NULL,NULL,4,0,0,1,0,4,0,0,1,0,X'A2D13DC84468DE52A50796D6FDC5B77DE43144E315D0C22212602E9F2E438605');
INSERT INTO "entries" VALUES(9,1,1,1769902200000000,'adjustment','gpt-4o',-250000000000,'given',NULL,0,0,0,0,NULL,NULL,NULL,'credit',6,'k2',1,1,1500,2,0,1,1,1500,2,0,X'AD392E599EF73C875FBD34E16EB096EC88CFC65B2486C607C3D1C662B97836E9');
INSERT INTO "entries" VALUES(10,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,0,NULL,NULL,NULL,NULL,NULL,NULL,9000000,0,0,1,0,9000000,0,0,1,0,X'DA214CD4F25A907C863152DC5BE7D531F59ECC5E94CFDB43DADA513C8BAD1579');
INSERT INTO "entries" VALUES(11,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,0,NULL,NULL,NULL,NULL,NULL,NULL,18000000,0,0,2,0,18000000,0,0,2,0,X'CABD5B37D8C72B5D36FE78B02C1C437B4F1892731712422AB30A7E2BAC633C68');
INSERT INTO "entries" VALUES(12,1,3,1769905800000000,'shift',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,'paid in advance',NULL,NULL,4,0,0,1,0,NULL,NULL,NULL,NULL,NULL,X'E68702D52729DB826B8BB3972CD0F04003468CA9020F10AE799219F075F87FE4');
INSERT INTO "entries" VALUES(13,1,3,1769905800000000,'charge','o3',500000000000,'given',NULL,0,0,1,0,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,0,4,500000000000,0,2,0,X'3FB03529EE9D62E403228ED3F3A7D58F932DBFE751BC0568D653013336CAE67D');
INSERT INTO "entries" VALUES(14,1,3,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,0,NULL,NULL,NULL,NULL,NULL,X'D3710F46E8D78226A346D02C6E32FEAD5FF5DD29F8273FA63B9E8C454F2AA41C');
INSERT INTO "entries" VALUES(15,1,1,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,1,1,1500,2,0,NULL,NULL,NULL,NULL,NULL,X'B7C8902C1CCF8B0D36E59B038C7F73BD650D5EC238E6131908BCBAD6787D0011');
INSERT INTO "entries" VALUES(16,2,4,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,X'B840AEA5D3F8CAEBDAF693A578457A4133AB776FAAD9391E54357AD66C8BBBAD');
INSERT INTO "entries" VALUES(17,2,4,1769905800000000,'charge','unknown',2000000000000,'given',NULL,0,0,1,0,NULL,NULL,NULL,NULL,NULL,'k1',2,0,0,1,0,2,0,0,1,0,X'5CEFEF8C951F9307D9A85118B6DD6A47396B2E658A203105718D89FB2D668B5D');
CREATE TABLE projects (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	CHECK (name <> '')
)
 STRICT

;
INSERT INTO "projects" VALUES(1,'app');
INSERT INTO "projects" VALUES(2,'other');
CREATE TABLE window_shifts (
	entry_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	budget TEXT NOT NULL, 
	start_us INTEGER NOT NULL, 
	PRIMARY KEY (entry_id), 
	CHECK (budget <> ''), 
	FOREIGN KEY(entry_id) REFERENCES entries (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
)
 STRICT

;
INSERT INTO "window_shifts" VALUES(12,3,'default',1769905800000000);
CREATE INDEX entries_by_account ON entries (account_id, recorded_at_us);
CREATE INDEX entries_by_model ON entries (account_id, model, recorded_at_us) WHERE model IS NOT NULL;
CREATE UNIQUE INDEX entries_by_key ON entries (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX entries_by_corrected ON entries (corrects_id) WHERE corrects_id IS NOT NULL;
CREATE INDEX budget_revisions_by_name ON budget_revisions (account_id, name, entry_id);
CREATE INDEX window_shifts_by_start ON window_shifts (account_id, budget, start_us);
CREATE TRIGGER projects_no_update BEFORE UPDATE ON projects
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER projects_no_delete BEFORE DELETE ON projects
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER projects_no_replace BEFORE INSERT ON projects
        WHEN EXISTS (SELECT 1 FROM projects WHERE id = NEW.id OR name = NEW.name)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE TRIGGER accounts_no_update BEFORE UPDATE ON accounts
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER accounts_no_delete BEFORE DELETE ON accounts
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER accounts_no_replace BEFORE INSERT ON accounts
        WHEN EXISTS (SELECT 1 FROM accounts WHERE id = NEW.id
                       OR (project_id = NEW.project_id AND name = NEW.name))
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
        WHEN (NEW.id >= 0 AND EXISTS (SELECT 1 FROM entries WHERE id = NEW.id))
                      OR (NEW.idempotency_key IS NOT NULL AND EXISTS (
                          SELECT 1 FROM entries WHERE project_id = NEW.project_id
                          AND idempotency_key = NEW.idempotency_key))
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE TRIGGER budget_revisions_no_update BEFORE UPDATE ON budget_revisions
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER budget_revisions_no_delete BEFORE DELETE ON budget_revisions
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER budget_revisions_no_replace BEFORE INSERT ON budget_revisions
        WHEN EXISTS (
                          SELECT 1 FROM budget_revisions WHERE entry_id = NEW.entry_id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE TRIGGER window_shifts_no_update BEFORE UPDATE ON window_shifts
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER window_shifts_no_delete BEFORE DELETE ON window_shifts
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER window_shifts_no_replace BEFORE INSERT ON window_shifts
        WHEN EXISTS (
                          SELECT 1 FROM window_shifts WHERE entry_id = NEW.entry_id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE VIEW spend AS
SELECT e.id, p.name AS project, a.name AS account, strftime('%Y-%m-%dT%H:%M:%S', e.recorded_at_us / 1000000, 'unixepoch') || printf('.%06dZ', e.recorded_at_us % 1000000) AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%S', e.occurred_at_us / 1000000, 'unixepoch') || printf('.%06dZ', e.occurred_at_us % 1000000) AS occurred_at,
       e.kind, e.model, e.cost_pico / 1e12 AS cost_usd, e.cost_pico, e.price_source,
       e.input_tokens, e.output_tokens, e.requests, e.unpriced, e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.idempotency_key, lower(hex(e.hash)) AS hash
FROM entries e
JOIN accounts a ON a.id = e.account_id
JOIN projects p ON p.id = e.project_id
WHERE e.kind IN ('opening', 'charge', 'adjustment');
CREATE VIEW spend_by_day AS
SELECT substr(recorded_at, 1, 10) AS day, project, account,
       (sum(cost_pico / 1000000) + sum(cost_pico % 1000000) / 1e6) / 1e6 AS cost_usd, sum(requests) AS requests,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
       sum(unpriced) AS unpriced
FROM spend GROUP BY 1, 2, 3;
CREATE VIEW spend_by_model AS
SELECT project, account, model,
       (sum(cost_pico / 1000000) + sum(cost_pico % 1000000) / 1e6) / 1e6 AS cost_usd, sum(requests) AS requests,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
       sum(unpriced) AS unpriced
FROM spend GROUP BY 1, 2, 3;
CREATE VIEW current_budgets AS
SELECT p.name AS project, a.name AS account, b.name AS budget, b.measure,
       b.limit_units + b.limit_pico / 1e12 AS limit_value, b.model, b.per,
       b.span_us / 1e6 AS span_seconds, b.timezone, strftime('%Y-%m-%dT%H:%M:%S', b.anchor_us / 1000000, 'unixepoch') || printf('.%06dZ', b.anchor_us % 1000000) AS anchored_at,
       strftime('%Y-%m-%dT%H:%M:%S', e.recorded_at_us / 1000000, 'unixepoch') || printf('.%06dZ', e.recorded_at_us % 1000000) AS set_at,
       (SELECT strftime('%Y-%m-%dT%H:%M:%S', max(s.start_us) / 1000000, 'unixepoch') || printf('.%06dZ', max(s.start_us) % 1000000) FROM window_shifts s
        WHERE s.account_id = b.account_id AND s.budget = b.name) AS last_shift_at
FROM budget_revisions b
JOIN accounts a ON a.id = b.account_id
JOIN projects p ON p.id = a.project_id
JOIN entries e ON e.id = b.entry_id
WHERE b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = b.account_id AND later.name = b.name);
COMMIT;
