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
	model_usd INTEGER, 
	model_pico INTEGER, 
	model_tokens INTEGER, 
	model_requests INTEGER, 
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
INSERT INTO "entries" VALUES(1,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'A1D3ECDF6005F8613D241402815EEC0431DEECC953E33676DB06E0BA3E72DE90');
INSERT INTO "entries" VALUES(2,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'83BEF3D709332385E763426B32BE63DE415B6830F853D09EC326ABFFDD8FEF70');
INSERT INTO "entries" VALUES(3,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'F1EB13F16457601BCBE9C30C988F3160EA282778FA73252CDFB0CD74C91AFB1A');
INSERT INTO "entries" VALUES(4,1,2,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'40C6D3A62A87FF02FA385532BFEB4DF16CAB4061CF19F481ADFA79FF15B43BD1');
INSERT INTO "entries" VALUES(5,1,3,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'F920438C544EC92EB0FA50DE34D040AF3EEE20624B5D1676F13CEBA694188B41');
INSERT INTO "entries" VALUES(6,1,1,1769891400000000,'charge','gpt-4o',1250000000000,'given',NULL,0,0,1,NULL,NULL,'{"job":"\u00e9"}',NULL,NULL,'k1',1,250000000000,0,1,1,250000000000,0,1,X'F426A2E977AEE1B4250ABAFF66491240225FE772BE92A4E9689DA607B479CBF2');
INSERT INTO "entries" VALUES(7,1,1,1769902200000000,'charge','gpt-4o',1,'given',NULL,1200,300,1,'{"input_tokens":1200,"output_tokens":300}',NULL,NULL,NULL,NULL,NULL,1,250000000001,1500,2,1,250000000001,1500,2,X'18EB3A99A3770E04738B9435FA2BB076D91C86910934AE8CB222290DDDC0D570');
INSERT INTO "entries" VALUES(8,1,3,1769902200000000,'charge','o3',4000000000000,'given',1769891400000000,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,4,0,0,1,4,0,0,1,X'29558362D1F93AF06B737A68CA6BFC6437EA894878DADE1A5A5DFCD6B253563C');
INSERT INTO "entries" VALUES(9,1,1,1769902200000000,'adjustment','gpt-4o',-250000000000,'given',NULL,0,0,0,NULL,NULL,NULL,'credit',6,'k2',1,1,1500,2,1,1,1500,2,X'1BB8A3F072A6C59C034C44DE2EB106465449EB196CC80B2FA258DA906521B7B0');
INSERT INTO "entries" VALUES(10,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,9000000,0,0,1,9000000,0,0,1,X'1AA3D6E2A4ABE9449E2C537990AEAD91F3DF08B1E338200EDE4E4522DB859DFC');
INSERT INTO "entries" VALUES(11,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,18000000,0,0,2,18000000,0,0,2,X'A2815187BACAE4CDE3DAB480A7F98B5C48DADA2467D40D67C528DB520BB02478');
INSERT INTO "entries" VALUES(12,1,3,1769905800000000,'shift',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'paid in advance',NULL,NULL,4,0,0,1,NULL,NULL,NULL,NULL,X'EEFA1D9B972964977B8FD6ABF178CDED326226CB4DCA00A6103DBB63D4ED2669');
INSERT INTO "entries" VALUES(13,1,3,1769905800000000,'charge','o3',500000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,4,500000000000,0,2,X'2BF1FDE232223610387441EB236B64B707CA2DA3E73A8BC5F5AF259BF6C985BA');
INSERT INTO "entries" VALUES(14,1,3,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,NULL,NULL,NULL,NULL,X'312FD05BB1EA6F319E70A7EE32DD28438A0AA0A99D1FCDE865A478610BABA34E');
INSERT INTO "entries" VALUES(15,1,1,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,1,1,1500,2,NULL,NULL,NULL,NULL,X'59C5B7DCC7B93A341B9CD251BEC489966A3B6DB554AE11E49E605789E1A631C6');
INSERT INTO "entries" VALUES(16,2,4,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'610B25CC83E8A949101B1370934234825E5423F3349C2B38C7575DE3A529381C');
INSERT INTO "entries" VALUES(17,2,4,1769905800000000,'charge','unknown',2000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,'k1',2,0,0,1,2,0,0,1,X'B72B3C05FDCEC31FABB6D08B8DBC22805FCA5A06883B5AE6FAAB7F802DB93670');
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
CREATE INDEX entries_unpriced ON entries (account_id, recorded_at_us) WHERE kind = 'charge' AND cost_pico IS NULL;
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
SELECT e.id, p.name AS project, a.name AS account, strftime('%Y-%m-%dT%H:%M:%S', (e.recorded_at_us - ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%S', (e.occurred_at_us - ((e.occurred_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((e.occurred_at_us % 1000000 + 1000000) % 1000000)) AS occurred_at,
       e.kind, e.model, e.cost_pico / 1e12 AS cost_usd, e.cost_pico, e.price_source,
       e.input_tokens, e.output_tokens, e.requests,
       e.cost_pico IS NULL AND NOT EXISTS (
           SELECT 1 FROM entries later WHERE later.corrects_id = e.id) AS unpriced,
       e.usage, e.price, e.tags, e.note,
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
       b.span_us / 1e6 AS span_seconds, b.timezone, strftime('%Y-%m-%dT%H:%M:%S', (b.anchor_us - ((b.anchor_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((b.anchor_us % 1000000 + 1000000) % 1000000)) AS anchored_at,
       strftime('%Y-%m-%dT%H:%M:%S', (e.recorded_at_us - ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) AS set_at,
       (SELECT strftime('%Y-%m-%dT%H:%M:%S', (max(s.start_us) - ((max(s.start_us) % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((max(s.start_us) % 1000000 + 1000000) % 1000000)) FROM window_shifts s
        WHERE s.account_id = b.account_id AND s.budget = b.name) AS last_shift_at
FROM budget_revisions b
JOIN accounts a ON a.id = b.account_id
JOIN projects p ON p.id = a.project_id
JOIN entries e ON e.id = b.entry_id
WHERE b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = b.account_id AND later.name = b.name);
COMMIT;
