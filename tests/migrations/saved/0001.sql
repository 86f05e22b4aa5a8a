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
INSERT INTO "entries" VALUES(1,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'E073C47628ACFE13E70A16FEFD750E957A9FD48AEC298569442A0829DE01D661');
INSERT INTO "entries" VALUES(2,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'A04AE35EF9D4E3C84A7DB539EBFBFA0ADC7D1F6397BE218F8BEEF5E7EFDB179E');
INSERT INTO "entries" VALUES(3,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'1DFD0960D991E22B427957BB6F00255E066E06DEA68F747A898E3A3A20BE7CA2');
INSERT INTO "entries" VALUES(4,1,2,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'0CC6F9BDD2D294636203F865C43CCABF028997A95ECBC361D0456B4DE06CAE52');
INSERT INTO "entries" VALUES(5,1,3,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'C8735EF6094584AA7E2093275DF20EE0985605E099F7D0539EBE4345FDF6FD10');
INSERT INTO "entries" VALUES(6,1,1,1769891400000000,'charge','gpt-4o',1250000000000,'given',NULL,0,0,1,NULL,NULL,'{"job":"\u00e9"}',NULL,NULL,'k1',1,250000000000,0,1,1,250000000000,0,1,X'DCB279E28FA1A3C8AA5EB6C09668B208F1637C66D18CF9C07AF0A1B0D3A372ED');
INSERT INTO "entries" VALUES(7,1,1,1769902200000000,'charge','gpt-4o',1,'given',NULL,1200,300,1,'{"input_tokens":1200,"output_tokens":300}',NULL,NULL,NULL,NULL,NULL,1,250000000001,1500,2,1,250000000001,1500,2,X'C6F643BDB9C5B716AE351B4FE6AC54A5AF5EC815FA7A89386D360C2954A77FCD');
INSERT INTO "entries" VALUES(8,1,3,1769902200000000,'charge','o3',4000000000000,'given',1769891400000000,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,4,0,0,1,4,0,0,1,X'54384082EEBACC4736BD125D4ABFC908768BE36FD4F004C64DBA8800EB517AF9');
INSERT INTO "entries" VALUES(9,1,1,1769902200000000,'adjustment','gpt-4o',-250000000000,'given',NULL,0,0,0,NULL,NULL,NULL,'credit',6,'k2',1,1,1500,2,1,1,1500,2,X'C4D3307AC08C97308F32D7006CDB714C5C71759D68F5371D911E67F879033B68');
INSERT INTO "entries" VALUES(10,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,9000000,0,0,1,9000000,0,0,1,X'1D374166129A48C2BC7A40787542847EA3BB598E5E1ECA245FFDB516FC402C83');
INSERT INTO "entries" VALUES(11,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,18000000,0,0,2,18000000,0,0,2,X'07ED2F7ADF05FAF8ECD9F05F537E1CF3CF50AAC97AAE0DB9330521BB82A8A253');
INSERT INTO "entries" VALUES(12,1,3,1769905800000000,'shift',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'paid in advance',NULL,NULL,4,0,0,1,NULL,NULL,NULL,NULL,X'F96B4F4B32C83B9A7C9203CCAE7EBF453D4BDB75F4F6EB1DF7CD55746003091E');
INSERT INTO "entries" VALUES(13,1,3,1769905800000000,'charge','o3',500000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,4,500000000000,0,2,X'92C8BEF20C40836F20E9341368A33FCBF9936C4AEA794EA11CC3D99E0EC20E00');
INSERT INTO "entries" VALUES(14,1,3,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,NULL,NULL,NULL,NULL,X'E70327203DA7175B3B345155F0A143C6DCEE8B4490853AF310DD4E4812E6F1F2');
INSERT INTO "entries" VALUES(15,1,1,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,1,1,1500,2,NULL,NULL,NULL,NULL,X'A5E495C7789793A11E99A10A212150BFF7C790E92E83E4D8F34AC91CC4DFF1B2');
INSERT INTO "entries" VALUES(16,2,4,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'9ED0D7A838F8688EB621615D5CA7308F6C26B591496F8F0C6EEB7031CEB2AE3F');
INSERT INTO "entries" VALUES(17,2,4,1769905800000000,'charge','unknown',2000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,'k1',2,0,0,1,2,0,0,1,X'D945839213D02D9867CA72500B3F16FB0A0314916218EC42CA69DDD5EA6208AF');
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
	turned INTEGER NOT NULL, 
	PRIMARY KEY (entry_id), 
	CHECK (budget <> ''), 
	CHECK (turned IN (0, 1)), 
	FOREIGN KEY(entry_id) REFERENCES entries (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
)
 STRICT

;
INSERT INTO "window_shifts" VALUES(12,3,'default',1769905800000000,0);
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
        WHERE s.account_id = b.account_id AND s.budget = b.name AND s.turned = 0)
        AS last_shift_at
FROM budget_revisions b
JOIN accounts a ON a.id = b.account_id
JOIN projects p ON p.id = a.project_id
JOIN entries e ON e.id = b.entry_id
WHERE b.removed = 0 AND b.entry_id = (
    SELECT max(later.entry_id) FROM budget_revisions later
    WHERE later.account_id = b.account_id AND later.name = b.name);
COMMIT;
