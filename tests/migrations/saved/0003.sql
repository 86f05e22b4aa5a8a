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
INSERT INTO "accounts" VALUES(5,3,'*',1769905800000000);
INSERT INTO "accounts" VALUES(6,3,'team',1769905800000000);
INSERT INTO "accounts" VALUES(7,3,'alice',1769905800000000);
INSERT INTO "accounts" VALUES(8,3,'bob',1769905800000000);
INSERT INTO "accounts" VALUES(9,3,'mallory',1769906100000000);
INSERT INTO "accounts" VALUES(10,4,'carol',1769906100000000);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
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
	removed INTEGER NOT NULL, alert_at TEXT, 
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
INSERT INTO "budget_revisions" VALUES(1,1,'usd/month','usd',10,0,NULL,'month','Europe/Berlin',0,NULL,NULL,1769891400.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(2,1,'tokens/day/gpt-4o','tokens',5000,0,'gpt-4o','day','UTC',0,NULL,NULL,1769891400.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(3,1,'pace','requests',9,0,NULL,'rolling','UTC',0,NULL,86400000000,1769891400.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(4,2,'usd','usd',1000000000,0,NULL,NULL,'UTC',0,NULL,NULL,1769891400.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(5,3,'default','usd',5,0,NULL,'month','UTC',0,1769891400000000,NULL,1769891400.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(14,3,'default','usd',6,0,NULL,'month','UTC',0,1769891400000000,NULL,1769891400.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(15,1,'pace','requests',9,0,NULL,'rolling','UTC',0,NULL,86400000000,1769891400.0,1,NULL);
INSERT INTO "budget_revisions" VALUES(16,4,'usd','usd',1,0,NULL,NULL,'UTC',0,NULL,NULL,1769905800.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(18,5,'usd/month','usd',1000,0,NULL,'month','UTC',0,NULL,NULL,1769905800.0,0,'0.9');
INSERT INTO "budget_revisions" VALUES(19,6,'usd/month','usd',100,0,NULL,'month','UTC',0,NULL,NULL,1769905800.0,0,'0.05,0.06');
INSERT INTO "budget_revisions" VALUES(21,7,'usd','usd',20,0,NULL,NULL,'UTC',0,NULL,NULL,1769905800.0,0,'0.25,1');
INSERT INTO "budget_revisions" VALUES(22,7,'tokens/day/gpt-4o','tokens',5000,0,'gpt-4o','day','UTC',0,NULL,NULL,1769905800.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(23,8,'default','usd',5,0,NULL,NULL,'UTC',0,NULL,NULL,1769905800.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(47,6,'usd/month','usd',200,0,NULL,'month','UTC',0,NULL,NULL,1769905800.0,0,'0.05,0.06');
INSERT INTO "budget_revisions" VALUES(50,9,'usd','usd',9,0,NULL,NULL,'UTC',0,NULL,NULL,1769906100.0,0,NULL);
INSERT INTO "budget_revisions" VALUES(55,10,'usd','usd',1,0,NULL,NULL,'UTC',0,NULL,NULL,1769906100.0,0,NULL);
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
	hash BLOB NOT NULL, origin_id INTEGER REFERENCES entries (id), hold_id INTEGER REFERENCES entries (id), held_pico INTEGER CHECK (held_pico >= 0), held_tokens INTEGER CHECK (held_tokens >= 0), expires_at_us INTEGER, settings_count INTEGER, 
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
INSERT INTO "entries" VALUES(1,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'E073C47628ACFE13E70A16FEFD750E957A9FD48AEC298569442A0829DE01D661',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(2,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'A04AE35EF9D4E3C84A7DB539EBFBFA0ADC7D1F6397BE218F8BEEF5E7EFDB179E',NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "entries" VALUES(3,1,1,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'1DFD0960D991E22B427957BB6F00255E066E06DEA68F747A898E3A3A20BE7CA2',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(4,1,2,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'0CC6F9BDD2D294636203F865C43CCABF028997A95ECBC361D0456B4DE06CAE52',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(5,1,3,1769891400000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'C8735EF6094584AA7E2093275DF20EE0985605E099F7D0539EBE4345FDF6FD10',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(6,1,1,1769891400000000,'charge','gpt-4o',1250000000000,'given',NULL,0,0,1,NULL,NULL,'{"job":"\u00e9"}',NULL,NULL,'k1',1,250000000000,0,1,1,250000000000,0,1,X'DCB279E28FA1A3C8AA5EB6C09668B208F1637C66D18CF9C07AF0A1B0D3A372ED',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(7,1,1,1769902200000000,'charge','gpt-4o',1,'given',NULL,1200,300,1,'{"input_tokens":1200,"output_tokens":300}',NULL,NULL,NULL,NULL,NULL,1,250000000001,1500,2,1,250000000001,1500,2,X'C6F643BDB9C5B716AE351B4FE6AC54A5AF5EC815FA7A89386D360C2954A77FCD',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(8,1,3,1769902200000000,'charge','o3',4000000000000,'given',1769891400000000,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,4,0,0,1,4,0,0,1,X'54384082EEBACC4736BD125D4ABFC908768BE36FD4F004C64DBA8800EB517AF9',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(9,1,1,1769902200000000,'adjustment','gpt-4o',-250000000000,'given',NULL,0,0,0,NULL,NULL,NULL,'credit',6,'k2',1,1,1500,2,1,1,1500,2,X'C4D3307AC08C97308F32D7006CDB714C5C71759D68F5371D911E67F879033B68',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(10,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,9000000,0,0,1,9000000,0,0,1,X'1D374166129A48C2BC7A40787542847EA3BB598E5E1ECA245FFDB516FC402C83',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(11,1,2,1769902200000000,'charge','o3',9000000000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,18000000,0,0,2,18000000,0,0,2,X'07ED2F7ADF05FAF8ECD9F05F537E1CF3CF50AAC97AAE0DB9330521BB82A8A253',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(12,1,3,1769905800000000,'shift',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'paid in advance',NULL,NULL,4,0,0,1,NULL,NULL,NULL,NULL,X'F96B4F4B32C83B9A7C9203CCAE7EBF453D4BDB75F4F6EB1DF7CD55746003091E',NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "entries" VALUES(13,1,3,1769905800000000,'charge','o3',500000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,4,500000000000,0,2,X'92C8BEF20C40836F20E9341368A33FCBF9936C4AEA794EA11CC3D99E0EC20E00',NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "entries" VALUES(14,1,3,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,4,500000000000,0,2,NULL,NULL,NULL,NULL,X'E70327203DA7175B3B345155F0A143C6DCEE8B4490853AF310DD4E4812E6F1F2',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(15,1,1,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,1,1,1500,2,NULL,NULL,NULL,NULL,X'A5E495C7789793A11E99A10A212150BFF7C790E92E83E4D8F34AC91CC4DFF1B2',NULL,NULL,NULL,NULL,NULL,4);
INSERT INTO "entries" VALUES(16,2,4,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'9ED0D7A838F8688EB621615D5CA7308F6C26B591496F8F0C6EEB7031CEB2AE3F',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(17,2,4,1769905800000000,'charge','unknown',2000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,'k1',2,0,0,1,2,0,0,1,X'D945839213D02D9867CA72500B3F16FB0A0314916218EC42CA69DDD5EA6208AF',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(18,3,5,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'F189E0DC95A7958436A2C6E56F8CD0F7AB366E7BAA9D0D79978BD7EF7EE4C3BE',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(19,3,6,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'B357E69E65F838AA2762ADCB6DCBE23D34A86B3334D3103658CCE526EC759C7F',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(20,3,7,1769905800000000,'parent',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'team',NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'632A9C9F6326E66717FACCAA87F8AEADA7C83A02D12A9A4418E6F81DB6D73F2F',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(21,3,7,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'08389F0F0A81B13FCCB4532172621B7CA7C608ECA1AB3DA29FBCD1B53C7638E2',NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "entries" VALUES(22,3,7,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'FC7AB8F34A0FC26A416A630E1DD2840E307FF2A13C70079EFE957235E57DD0FD',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(23,3,8,1769905800000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'716AF1DDA08AE66F34CB899386FF91BE5599BABDE9D77696195908F3BBC482ED',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(24,3,8,1769905800000000,'parent',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'team',NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'3B66AFC2A95809EA52CEC9050A19361D0828778AD9EE9D8907BC2F66075DFC18',NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "entries" VALUES(25,3,8,1769905800000000,'parent',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'81411DC4B49D29C18B08C2C30C27AC194156F8AC9ABA963D49E2ECE9080A9E0A',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(26,3,7,1769905800000000,'hold','gpt-4o',NULL,'given',NULL,0,0,0,NULL,NULL,'{"job":"\u00e9"}',NULL,NULL,'h1',0,0,0,0,0,0,0,0,X'B3EF836283ECFC8F61718C801918CC19A4CC96964900C06C8BD45197FCC4B69A',NULL,NULL,2500000000000,1500,1769907600000000,3);
INSERT INTO "entries" VALUES(27,3,7,1769905800000000,'hold','o3',NULL,'given',NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,0,X'A7316B9FB2F66476F8D2D42704F865AA0A970D7EBAEA1EE92D7499895480189E',NULL,NULL,4000000000000,0,1769907600000000,3);
INSERT INTO "entries" VALUES(28,3,7,1769905800000000,'settle','o3',6000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,6,0,0,1,X'F12DA277E3919E311BF01AFC00A45B9C4B69080C9A6D5D1B197906B815E76DD1',NULL,27,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(29,3,7,1769905800000000,'alert',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,NULL,NULL,NULL,NULL,X'E2B85D24BD98E16E5C1CB8EE82049A47D8043D0E06D4124F7AFADA0864FC2877',NULL,NULL,NULL,NULL,NULL,4);
INSERT INTO "entries" VALUES(30,3,6,1769905800000000,'settle','o3',6000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,6,0,0,1,X'B833E57E9C5398329E286F95F64E51C667062B13CDF2A0A668730973BB883F7D',28,27,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(31,3,6,1769905800000000,'alert',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,NULL,NULL,NULL,NULL,X'3D600BA4DE67B1F299EB8D2292A8AC82F82B311B127639511FC5C858155B9080',NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "entries" VALUES(32,3,6,1769905800000000,'alert',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,NULL,NULL,NULL,NULL,X'F3CE748AB7A3A401FD7880432EB3653CC4A6A55E83333A5C7F408982DE852F83',NULL,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(33,3,5,1769905800000000,'settle','o3',6000000000000,'given',NULL,0,0,1,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,6,0,0,1,X'BC254BC9C3A202712A5A95ACA41D7507C5857B09F7E13489EF8453652F4B8197',28,27,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(34,3,7,1769905800000000,'hold','unknown',NULL,'given',NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,0,0,0,0,X'72E02566D79ECA35C9B1CC719A61F27F4E28C379743D0A49475696C3D1D78986',NULL,NULL,1000000000000,0,1769907600000000,4);
INSERT INTO "entries" VALUES(35,3,7,1769905800000000,'release',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'found in the cache',NULL,NULL,6,0,0,1,NULL,NULL,NULL,NULL,X'4095BB9C071C6F8BD941691E729F065B11AEF231B9EFEB9C9C1050D857E31120',NULL,34,NULL,NULL,NULL,4);
INSERT INTO "entries" VALUES(36,3,8,1769905800000000,'hold','o3',NULL,'given',NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,0,X'0431E0403B4E37BD7A29EEFFFD6243441C06D30FC9C78486271F6620F1BED9B2',NULL,NULL,500000000000,0,1769905860000000,3);
INSERT INTO "entries" VALUES(37,3,8,1769905800000000,'hold','unknown',NULL,'given',NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,0,X'0D5E8457212287B9FEE320E4FB817F620BE8B19AE8C17FA80945CBD5DD5F31D4',NULL,NULL,1000000000000,0,1769905890000000,3);
INSERT INTO "entries" VALUES(38,3,8,1769906100000000,'expire',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'622EE11013139331B27ABEFE6873D0F3765F5675ACB7AC64A3A07D476B1DA2E8',NULL,36,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(39,3,8,1769906100000000,'expire',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'FC9D6C7AF267DDFC9C62782AEBBA53BEF3A535D77297422E2C23790FDD4D191C',NULL,37,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(40,3,8,1769906100000000,'hold','unknown',NULL,'given',NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,0,X'A50CD0F2DBF834D55DC2CE0DA7A0DBF134A8329B9A71569D873C83224007F301',NULL,NULL,250000000000,0,1769992500000000,3);
INSERT INTO "entries" VALUES(41,3,8,1769906100000000,'settle','my-own',NULL,'unpriced',NULL,700,50,1,'{"input_tokens":700,"output_tokens":50}',NULL,'{}',NULL,NULL,NULL,0,0,750,1,0,0,750,1,X'CF530A1D0D41C07453593556BEF2C6B26078F17005849AACB83ED17E2A293C7B',NULL,36,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(42,3,5,1769906100000000,'settle','my-own',NULL,'unpriced',NULL,700,50,1,'{"input_tokens":700,"output_tokens":50}',NULL,'{}',NULL,NULL,NULL,6,0,750,2,0,0,750,1,X'24407D1618A5A3829C5B01683AFE26535E136AEA74EB350E947E56AE147E0CA6',41,36,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(43,3,7,1769906100000000,'extend',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,6,0,0,1,NULL,NULL,NULL,NULL,X'96E91B1757E13A838527690BE060D135301A015E6F225D56248144A12BA1448B',NULL,26,NULL,NULL,1769992500000000,4);
INSERT INTO "entries" VALUES(44,3,7,1769906100000000,'adjustment','o3',-500000000000,'given',NULL,0,0,0,NULL,NULL,NULL,'credit',28,NULL,5,500000000000,0,1,5,500000000000,0,1,X'6824D4B1C3BC42E21EC57F7F8FA9E40777290B12B308890F3D63F78B662D67C7',NULL,NULL,NULL,NULL,NULL,4);
INSERT INTO "entries" VALUES(45,3,6,1769906100000000,'adjustment','o3',-500000000000,'given',NULL,0,0,0,NULL,NULL,NULL,'credit',28,NULL,5,500000000000,0,1,5,500000000000,0,1,X'BDF198B1246C45D9CDDF01E27C7E693CC2AB5D707D7D69BF22AE069E3248CAF1',44,NULL,NULL,NULL,NULL,3);
INSERT INTO "entries" VALUES(46,3,5,1769906100000000,'adjustment','o3',-500000000000,'given',NULL,0,0,0,NULL,NULL,NULL,'credit',28,NULL,5,500000000000,750,2,5,500000000000,0,1,X'915DA0ED9762CB501338472C1AF5AE9372FBC7F3AB3D255EB5BF181E5A6E61DA',44,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(47,3,6,1769906100000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,5,500000000000,0,1,NULL,NULL,NULL,NULL,X'8875E746CC4A1DA22D37237BF17C9566697667EE493626DF9753D726EAB422A4',NULL,NULL,NULL,NULL,NULL,4);
INSERT INTO "entries" VALUES(48,3,6,1769906100000000,'resolve',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,5,500000000000,0,1,NULL,NULL,NULL,NULL,X'B0DD5BFFA68A00985A5620BB2AC58281712E53BE7724DBF3ABE1207A977E95EA',NULL,NULL,NULL,NULL,NULL,5);
INSERT INTO "entries" VALUES(49,3,6,1769906100000000,'resolve',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,5,500000000000,0,1,NULL,NULL,NULL,NULL,X'3BE6F5CC5817DD9F17E4D8F7B51DB89CB06EFEEA1D3F4A0110AD537BB823E5C5',NULL,NULL,NULL,NULL,NULL,6);
INSERT INTO "entries" VALUES(50,3,9,1769906100000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'04408B26644419FE015760E04E3A8ACC9C4BB49458A6CBE5EC3AB7DF66836AA7',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(51,3,9,1769906100000000,'freeze',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'audit',NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'7964FC0F09600F101EC67C4FB4DF4842777867503BE656A8C811604A0CEE09FE',NULL,NULL,NULL,NULL,NULL,2);
INSERT INTO "entries" VALUES(52,3,8,1769906100000000,'freeze',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,750,1,NULL,NULL,NULL,NULL,X'0C28610576FF44C2FAEC500355DB314FCAD3F74FB48DE10A6BF9A9233DE1137A',NULL,NULL,NULL,NULL,NULL,4);
INSERT INTO "entries" VALUES(53,3,8,1769906100000000,'unfreeze',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'a mistake',NULL,NULL,0,0,750,1,NULL,NULL,NULL,NULL,X'2F4576F57A32885C2ED36CE6A889450BB0F62ADBDB6034B85C4EB50584A3B048',NULL,NULL,NULL,NULL,NULL,5);
INSERT INTO "entries" VALUES(54,3,8,1769906100000000,'hold','o3',NULL,'given',NULL,0,0,0,NULL,NULL,NULL,'would have been refused: budget ''default'' of ''bob'' refuses 7.00 USD: limit 5.00, posted 0.00, held 0.25, available 4.75; it is more than the whole limit; ask for less, or raise it with set_budget',NULL,NULL,0,0,750,1,0,0,0,0,X'7D31843DA5142B1E1CF638BB48DF84A7EC5C760525966D64AEB3DA7161A6420F',NULL,NULL,7000000000000,0,1769992500000000,5);
INSERT INTO "entries" VALUES(55,4,10,1769906100000000,'budget',NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,X'5AC363B296783DB729231F3F086B0C8DD3A1A57C404F3C4812E487E1D50566C8',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(56,4,10,1769906100000000,'charge','my-own',NULL,'unpriced',NULL,1000,500,1,'{"input_tokens":1000,"output_tokens":500}',NULL,NULL,NULL,NULL,NULL,0,0,1500,1,0,0,1500,1,X'1C40A47306C0013B9988F1A252A3684B6728C66421252FE7A521F55282CF9B8C',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(57,4,10,1769906100000000,'charge','my-other',NULL,'unpriced',NULL,1,0,1,'{"input_tokens":1,"service_tier":"batch"}',NULL,NULL,NULL,NULL,NULL,0,0,1501,2,0,0,1,1,X'0681FCC278B3720EE28A4718705C24FB8375B26D614146E0EEA948F73A35F4C1',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(58,4,10,1769906100000000,'adjustment','my-own',6250000000,'own price 2',NULL,0,0,0,NULL,'{"input_mtok":"3","model":"my-own","output_mtok":"6.5"}',NULL,'priced later',56,'reprice:56',0,6250000000,1501,2,0,6250000000,1500,1,X'149BED6038BD0F7EB8271D46BBC076A017D917C25B2D324AA30167248A44E285',NULL,NULL,NULL,NULL,NULL,1);
INSERT INTO "entries" VALUES(59,4,10,1769906160000000,'charge','my-own',13250000000,'own price 3',NULL,1000,0,1,'{"input_tokens":1000}','{"input_mtok":"3.25","model":"my-own","requests_kcount":"10"}',NULL,NULL,NULL,'p1',0,19500000000,2501,3,0,19500000000,2500,2,X'773E1EB45563A43ECB89989F9819157C548E3DC5A286EBE068E7E0EA55E841BC',NULL,NULL,NULL,NULL,NULL,1);
CREATE TABLE model_runs (
	account_id INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	recorded_at_us INTEGER NOT NULL, 
	entry_id INTEGER NOT NULL, 
	PRIMARY KEY (account_id, model, recorded_at_us, entry_id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id), 
	FOREIGN KEY(entry_id) REFERENCES entries (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "model_runs" VALUES(1,'gpt-4o',1769902200000000,9);
INSERT INTO "model_runs" VALUES(3,'o3',1769902200000000,8);
INSERT INTO "model_runs" VALUES(3,'o3',1769905800000000,13);
INSERT INTO "model_runs" VALUES(5,'my-own',1769906100000000,42);
INSERT INTO "model_runs" VALUES(5,'o3',1769905800000000,33);
INSERT INTO "model_runs" VALUES(6,'o3',1769905800000000,30);
INSERT INTO "model_runs" VALUES(6,'o3',1769906100000000,45);
INSERT INTO "model_runs" VALUES(7,'gpt-4o',1769905800000000,26);
INSERT INTO "model_runs" VALUES(7,'o3',1769905800000000,28);
INSERT INTO "model_runs" VALUES(7,'unknown',1769905800000000,34);
INSERT INTO "model_runs" VALUES(8,'my-own',1769906100000000,41);
INSERT INTO "model_runs" VALUES(8,'o3',1769905800000000,36);
INSERT INTO "model_runs" VALUES(8,'unknown',1769905800000000,37);
INSERT INTO "model_runs" VALUES(8,'unknown',1769906100000000,40);
INSERT INTO "model_runs" VALUES(10,'my-other',1769906100000000,57);
INSERT INTO "model_runs" VALUES(10,'my-own',1769906100000000,56);
CREATE TABLE open_holds (
	account_id INTEGER NOT NULL, 
	hold_id INTEGER NOT NULL, 
	expires_at_us INTEGER NOT NULL, 
	model TEXT, 
	held_pico INTEGER NOT NULL, 
	held_tokens INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	PRIMARY KEY (account_id, hold_id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id), 
	FOREIGN KEY(hold_id) REFERENCES entries (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "open_holds" VALUES(5,26,1769992500000000,'gpt-4o',2500000000000,1500,'6/5');
INSERT INTO "open_holds" VALUES(5,40,1769992500000000,'unknown',250000000000,0,'5');
INSERT INTO "open_holds" VALUES(5,54,1769992500000000,'o3',7000000000000,0,'5');
INSERT INTO "open_holds" VALUES(6,26,1769992500000000,'gpt-4o',2500000000000,1500,'6/5');
INSERT INTO "open_holds" VALUES(7,26,1769992500000000,'gpt-4o',2500000000000,1500,'6/5');
INSERT INTO "open_holds" VALUES(8,40,1769992500000000,'unknown',250000000000,0,'5');
INSERT INTO "open_holds" VALUES(8,54,1769992500000000,'o3',7000000000000,0,'5');
CREATE TABLE parent_changes (
	entry_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	parent_id INTEGER, 
	PRIMARY KEY (entry_id), 
	FOREIGN KEY(entry_id) REFERENCES entries (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id), 
	FOREIGN KEY(parent_id) REFERENCES accounts (id)
)
 STRICT

;
INSERT INTO "parent_changes" VALUES(20,7,6);
INSERT INTO "parent_changes" VALUES(24,8,6);
INSERT INTO "parent_changes" VALUES(25,8,NULL);
CREATE TABLE price_revisions (
	id INTEGER NOT NULL, 
	project_id INTEGER, 
	model TEXT NOT NULL, 
	rates TEXT, 
	effective_at_us INTEGER NOT NULL, 
	recorded_at_us INTEGER NOT NULL, 
	note TEXT, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (id), 
	CHECK (model <> ''), 
	CHECK (length(hash) = 32), 
	FOREIGN KEY(project_id) REFERENCES projects (id)
)
 STRICT

;
INSERT INTO "price_revisions" VALUES(1,NULL,'my-*','{"input_mtok":"2","output_mtok":"4"}',1769891400000000,1769906100000000,NULL,X'FE7FCBE3786434D4DFF830DE4EAC0439A0A71C86E80F8B7F47308F7EDA33352F');
INSERT INTO "price_revisions" VALUES(2,4,'my-own','{"input_mtok":"3","output_mtok":"6.5"}',1769891400000000,1769906100000000,'per contract',X'CA3386137107548ED481E3F1E928BA11E48351E512367D726D2DF89C16655A16');
INSERT INTO "price_revisions" VALUES(3,4,'my-own','{"input_mtok":"3.25","output_mtok":"0","requests_kcount":"10"}',1769906160000000,1769906160000000,NULL,X'DA89FB5B5BD810B16A8E76D4010F34ECFBB5BB5C7EFC1912E32001A47C12CC4A');
INSERT INTO "price_revisions" VALUES(4,4,'my-own',NULL,1769906160000000,1769906160000000,'moved',X'ABF3BB884A6FB50025811D2F7AF65850F61FEA11D0D858C30785878735EBDA81');
INSERT INTO "price_revisions" VALUES(5,NULL,'my-*',NULL,1769891400000000,1769906160000000,NULL,X'AF8B688D68CAC990F7802F0FC55CBF5211F234EA9AB23008BDBC4CB2601607F6');
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
INSERT INTO "projects" VALUES(3,'agents');
INSERT INTO "projects" VALUES(4,'priced');
CREATE TABLE threshold_crossings (
	entry_id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	budget TEXT NOT NULL, 
	measure TEXT NOT NULL, 
	threshold TEXT NOT NULL, 
	limit_units INTEGER NOT NULL, 
	limit_pico INTEGER NOT NULL, 
	posted_units INTEGER NOT NULL, 
	posted_pico INTEGER NOT NULL, 
	start_us INTEGER, 
	end_us INTEGER, 
	timezone TEXT NOT NULL, 
	PRIMARY KEY (entry_id), 
	CHECK (budget <> ''), 
	FOREIGN KEY(entry_id) REFERENCES entries (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
)
 STRICT

;
INSERT INTO "threshold_crossings" VALUES(29,7,'usd','usd','0.25',20,0,6,0,NULL,NULL,'UTC');
INSERT INTO "threshold_crossings" VALUES(31,6,'usd/month','usd','0.05',100,0,6,0,1769904000000000,1772323200000000,'UTC');
INSERT INTO "threshold_crossings" VALUES(32,6,'usd/month','usd','0.06',100,0,6,0,1769904000000000,1772323200000000,'UTC');
INSERT INTO "threshold_crossings" VALUES(48,6,'usd/month','usd','0.05',200,0,5,500000000000,1769904000000000,1772323200000000,'UTC');
INSERT INTO "threshold_crossings" VALUES(49,6,'usd/month','usd','0.06',200,0,5,500000000000,1769904000000000,1772323200000000,'UTC');
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
CREATE INDEX entries_unpriced ON entries (account_id, recorded_at_us) WHERE cost_pico IS NULL AND kind IN ('charge', 'settle');
CREATE INDEX entries_freezing ON entries (account_id, id) WHERE model IS NULL AND kind IN ('freeze', 'unfreeze');
CREATE INDEX parent_changes_by_account ON parent_changes (account_id, entry_id);
CREATE INDEX threshold_crossings_by_budget ON threshold_crossings (account_id, budget, threshold, entry_id);
CREATE TRIGGER parent_changes_no_update BEFORE UPDATE ON parent_changes
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER parent_changes_no_delete BEFORE DELETE ON parent_changes
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER parent_changes_no_replace BEFORE INSERT ON parent_changes
        WHEN EXISTS (SELECT 1 FROM parent_changes WHERE entry_id = NEW.entry_id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE TRIGGER threshold_crossings_no_update BEFORE UPDATE ON threshold_crossings
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER threshold_crossings_no_delete BEFORE DELETE ON threshold_crossings
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER threshold_crossings_no_replace BEFORE INSERT ON threshold_crossings
        WHEN EXISTS (SELECT 1 FROM threshold_crossings WHERE entry_id = NEW.entry_id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE VIEW spend AS
SELECT e.id, p.name AS project, a.name AS account, strftime('%Y-%m-%dT%H:%M:%S', (e.recorded_at_us - ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%S', (e.occurred_at_us - ((e.occurred_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((e.occurred_at_us % 1000000 + 1000000) % 1000000)) AS occurred_at,
       e.kind, e.model, e.cost_pico / 1e12 AS cost_usd, e.cost_pico, e.price_source,
       e.input_tokens, e.output_tokens, e.requests,
       e.cost_pico IS NULL AND NOT EXISTS (
           SELECT 1 FROM entries later WHERE later.corrects_id = e.id) AS unpriced,
       e.usage, e.price, e.tags, e.note,
       e.corrects_id, e.hold_id, e.idempotency_key, lower(hex(e.hash)) AS hash
FROM entries e
JOIN accounts a ON a.id = e.account_id
JOIN projects p ON p.id = e.project_id
WHERE e.kind IN ('opening', 'charge', 'settle', 'adjustment') AND e.origin_id IS NULL;
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
       b.alert_at, strftime('%Y-%m-%dT%H:%M:%S', (e.recorded_at_us - ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) AS set_at,
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
CREATE VIEW holds AS
SELECT h.id, p.name AS project, a.name AS account, h.model, h.held_pico / 1e12 AS held_usd,
       h.held_pico, h.held_tokens, strftime('%Y-%m-%dT%H:%M:%S', (h.recorded_at_us - ((h.recorded_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((h.recorded_at_us % 1000000 + 1000000) % 1000000)) AS recorded_at,
       strftime('%Y-%m-%dT%H:%M:%S', (coalesce(x.expires_at_us, h.expires_at_us) - ((coalesce(x.expires_at_us, h.expires_at_us) % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((coalesce(x.expires_at_us, h.expires_at_us) % 1000000 + 1000000) % 1000000)) AS expires_at,
       CASE WHEN later.settled THEN 'settle' WHEN later.released THEN 'release'
            WHEN later.expired THEN 'expire' END AS closed_by,
       later.cost_pico / 1e12 AS cost_usd, h.tags, h.note, h.idempotency_key
FROM entries h
JOIN accounts a ON a.id = h.account_id
JOIN projects p ON p.id = h.project_id
LEFT JOIN (
    SELECT hold_id, max(kind = 'settle') AS settled, max(kind = 'release') AS released,
           max(kind = 'expire') AS expired, sum(cost_pico) AS cost_pico,
           max(CASE kind WHEN 'extend' THEN id END) AS extend_id
    FROM entries WHERE hold_id IS NOT NULL AND origin_id IS NULL GROUP BY hold_id
) later ON later.hold_id = h.id
LEFT JOIN entries x ON x.id = later.extend_id
WHERE h.kind = 'hold';
CREATE VIEW alerts AS
SELECT e.id, p.name AS project, a.name AS account, strftime('%Y-%m-%dT%H:%M:%S', (e.recorded_at_us - ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((e.recorded_at_us % 1000000 + 1000000) % 1000000)) AS recorded_at,
       e.kind AS state, t.budget, t.measure, t.threshold,
       t.limit_units + t.limit_pico / 1e12 AS limit_value,
       t.posted_units + t.posted_pico / 1e12 AS posted_value,
       strftime('%Y-%m-%dT%H:%M:%S', (t.start_us - ((t.start_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((t.start_us % 1000000 + 1000000) % 1000000)) AS window_start, strftime('%Y-%m-%dT%H:%M:%S', (t.end_us - ((t.end_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((t.end_us % 1000000 + 1000000) % 1000000)) AS window_end
FROM threshold_crossings t
JOIN entries e ON e.id = t.entry_id
JOIN accounts a ON a.id = t.account_id
JOIN projects p ON p.id = a.project_id;
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
        WHEN NEW.settings_count IS NULL
            OR (NEW.id >= 0 AND EXISTS (SELECT 1 FROM entries WHERE id = NEW.id))
            OR (NEW.idempotency_key IS NOT NULL AND EXISTS (
                SELECT 1 FROM entries WHERE project_id = NEW.project_id
                AND idempotency_key = NEW.idempotency_key))
        BEGIN SELECT CASE WHEN NEW.settings_count IS NULL
            THEN RAISE(ABORT, 'budgetledger: the file was upgraded; restart this program')
            ELSE RAISE(ABORT, 'budgetledger: this row is recorded already') END; END;
CREATE TRIGGER model_runs_no_update BEFORE UPDATE ON model_runs
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER model_runs_no_delete BEFORE DELETE ON model_runs
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER model_runs_no_replace BEFORE INSERT ON model_runs
        WHEN EXISTS (SELECT 1 FROM model_runs WHERE account_id = NEW.account_id AND model = NEW.model AND recorded_at_us = NEW.recorded_at_us AND entry_id = NEW.entry_id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE INDEX price_revisions_by_model ON price_revisions (project_id, model, effective_at_us);
CREATE TRIGGER price_revisions_no_update BEFORE UPDATE ON price_revisions
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows never change; append an adjustment'); END;
CREATE TRIGGER price_revisions_no_delete BEFORE DELETE ON price_revisions
        BEGIN SELECT RAISE(ABORT, 'budgetledger: rows stay; append an adjustment'); END;
CREATE TRIGGER price_revisions_no_replace BEFORE INSERT ON price_revisions
        WHEN EXISTS (SELECT 1 FROM price_revisions WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'budgetledger: this row is recorded already'); END;
CREATE VIEW prices AS
SELECT r.id, p.name AS project, r.model, r.rates IS NULL AS removed,
       strftime('%Y-%m-%dT%H:%M:%S', (r.effective_at_us - ((r.effective_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((r.effective_at_us % 1000000 + 1000000) % 1000000)) AS effective_at,
       CAST(json_extract(r.rates, '$.input_mtok') AS REAL) AS input_usd, CAST(json_extract(r.rates, '$.output_mtok') AS REAL) AS output_usd,
       CAST(json_extract(r.rates, '$.cache_read_mtok') AS REAL) AS cache_read_usd, CAST(json_extract(r.rates, '$.cache_write_mtok') AS REAL) AS cache_write_usd,
       CAST(json_extract(r.rates, '$.requests_kcount') AS REAL) / 1000 AS request_usd, r.rates,
       strftime('%Y-%m-%dT%H:%M:%S', (r.recorded_at_us - ((r.recorded_at_us % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch') || printf('.%06dZ', ((r.recorded_at_us % 1000000 + 1000000) % 1000000)) AS recorded_at, r.note, lower(hex(r.hash)) AS hash
FROM price_revisions r LEFT JOIN projects p ON p.id = r.project_id;
COMMIT;
