/**
 * Writes docs/capabilities.md from what the drivers say of themselves: npm run docs:capabilities
 */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { argv } from "node:process"
import { fileURLToPath } from "node:url"
import * as DbConfig from "../src/DbConfig.js"
import type { Capabilities, Make } from "../src/driver/Driver.js"
import { make as mssql } from "../src/driver/Mssql.js"
import { make as mysql } from "../src/driver/Mysql.js"
import { make as pg } from "../src/driver/Pg.js"
import { make as sqlite } from "../src/driver/Sqlite.js"

/** What a driver says of itself: it is made, and opens nothing. */
const said = (make: Make<DbConfig.DbConfig>, options: DbConfig.Options): Promise<Capabilities> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.map(Effect.flatMap(DbConfig.resolve("default", options), make), (driver) => driver.capabilities)
    )
  )

const databases: ReadonlyArray<readonly [string, Capabilities]> = [
  ["SQLite", await said(sqlite, { url: "sqlite:///app.db" })],
  ["SQLite, `workers: n`", await said(sqlite, { url: "sqlite:///app.db", workers: 2 })],
  ["PostgreSQL", await said(pg, { url: "postgres://localhost/app" })],
  ["MySQL, MariaDB", await said(mysql, { url: "mysql://localhost/app" })],
  ["SQL Server", await said(mssql, { url: "mssql://localhost/app" })]
]

const says = (answer: boolean): string => answer ? "yes" : "no"

const rows: ReadonlyArray<readonly [string, (can: Capabilities) => string]> = [
  ["the event loop goes on while a statement runs", (can) => says(!can.synchronous)],
  ["an interrupt, a limit or `Db.withTimeout` stops a running statement", (can) => says(can.cancel)],
  [
    "`statementTimeout` is kept",
    (can) => can.serverLimits ? "by the server or the driver" : can.cancel ? "by the engine" : "no: refused"
  ],
  ["several transactions write at a time", (can) => can.singleWriter ? "no: writers queue" : "yes"],
  ["isolation levels", (can) => can.isolationLevels.map((level) => level.replaceAll(" ", "&nbsp;")).join(", ")],
  ["nested transactions (savepoints)", (can) => says(can.savepoints)],
  ["`readOnly` transactions: what refuses a write", (can) => `the ${can.readOnlyTransactions}`],
  ["`deferrable` transactions", (can) => says(can.deferrable)],
  ["constraints that are checked at COMMIT", (can) => says(can.deferredConstraints)],
  ["DDL is part of a transaction, so a failed migration leaves nothing", (can) => says(can.transactionalDdl)],
  ["`resolveCommit`: asks what became of a COMMIT without an answer", (can) => says(can.resolveCommit)],
  ["BEGIN travels with the first statement, in one round trip", (can) => says(can.pipelinedBegin)],
  ["`listen` and `notify`", (can) => says(can.listen)],
  ["`createDatabase` makes a missing database", (can) => says(can.createDatabase)]
]

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** The page, as it is written. */
export const page =
  `<!-- Written by npm run docs:capabilities from the drivers' \`capabilities\`: change them there. -->

# What each database can and cannot do

Sessions, transactions, nested ones, streams with back-pressure, \`Db.script\` (several statements in one text), typed errors with their outcome, retries,
limits on waiting, migrations, health and the test layers work the same over all of them: one suite
([test/suites](../test/suites)) holds each to it. Where they differ:

${line(["", ...databases.map(([name]) => name)])}
${line(["---", ...databases.map(() => "---")])}
${rows.map(([what, cell]) => line([what, ...databases.map(([, can]) => cell(can))])).join("\n")}

- SQLite has one isolation level, which is as strict as each it is asked for; its writers queue inside the process, and wait for other
  processes up to \`lockTimeout\`.
- \`workers\` cannot stop statements of a \`:memory:\` database: it would be lost with its process.
- SQLite is opened by \`better-sqlite3\`, or by Node's own \`node:sqlite\` where that is not installed (setting \`sqliteModule\`): the same driver, the
  same suites. \`node:sqlite\` is used from Node 24.16 on, and of 26 from 26.1 on; earlier ones cannot give the bytes of a database
  (\`serialize\`), which \`export\` and the test layers need, and are refused with \`ConnectionError\` \`Unsupported\`. It is compiled
  without \`soundex()\` (a \`QueryError\` \`UndefinedObject\`), and without \`UPDATE\` and \`DELETE\` with \`LIMIT\` (\`SqlSyntax\`). \`LIKE\` also
  matches blobs. Under Node's permission model (\`--permission\`) it loads no extension (\`Authorization\`). A backup runs on a thread beside the
  event loop.
- PostgreSQL runs \`read uncommitted\` as \`read committed\`. \`snapshot\` is \`repeatable read\` there, and the nearest to it on MySQL.
- SQL Server has no read-only transactions: the driver refuses what is not a SELECT by its text. What a function or procedure writes
  out of sight of the text is not seen.
- On MySQL a statement of DDL commits the transaction around it, also when it fails itself. \`Db.transaction\` then fails with
  \`TransactionAborted\` rather than going on as single statements, and its outcome is \`Unknown\`: what stood before is applied.
  \`SqlClient.withTransaction\` goes on, as everything written for \`@effect/sql\` expects (its Migrator, the storage of the cluster). What the server does
  is kept to: behind the DDL each statement is applied at once, and nothing undoes it, so that what a migration did is still there when a later one
  fails. A transaction nested in the rest begins one of its own, and is whole. An error that leaves has outcome \`Unknown\`, so it is not retried. A
  COMMIT, ROLLBACK or BEGIN by hand, and a CALL that ends the transaction, are refused in both.
- \`Db.script\` gives the rows of each statement; on SQL Server of each that gives rows. Outside of a transaction they are applied wholly or not at all on SQLite and PostgreSQL; on
  MySQL and SQL Server those before the one that fails stay, and the outcome is \`Unknown\`. With parameters MySQL is sent one after the other, each with its own, as
  its protocol prepares single ones, and SQL Server takes them together; SQLite and PostgreSQL refuse such a text (\`QueryError\` reason \`SqlSyntax\`);
  \`Db.batch\` does the same on all of them.

## Distributed databases that speak PostgreSQL's protocol

*Read, not run*: from their documentation in November 2026; no test opens one. All answer a conflict with \`40001\`, at any statement and at
COMMIT, which is \`QueryError\` \`Serialization\` with outcome \`RolledBack\`: \`Db.transaction({ retry: DbRetry.conflicts })\` runs the transaction again,
as on PostgreSQL, and is to be set on every transaction there.

|  | CockroachDB (26.3) | YugabyteDB (2025.2) | Aurora DSQL |
| --- | --- | --- | --- |
| conflicts | retried by the server where it can, else \`40001\` | retried by the server where it can, else \`40001\` | found at COMMIT: \`40001\` with \`OC000\` (data), and \`OC001\` (another transaction has changed the schema) |
| nested transactions | yes | yes | no SAVEPOINT: a nested transaction fails. Use one transaction |
| \`listen\`, \`notify\` | no | early access from 2025.2.3 on | not looked up; do not count on it |
| advisory locks, which keep other runners of migrations away | functions that do nothing, or are not there (its documentation's list of what is not supported) | by default from 2.27 on; not before | not supported: \`0A000\`, as other tools report |
| migrations | \`lock: "none"\`, from one place at a time | before 2.27 \`lock: "none"\`, from one place at a time. DDL is no part of a transaction | no: a transaction with DDL takes one statement and nothing else, and dblive commits a migration and its row of the history together |
| \`resolveCommit\` | no: it asks for PostgreSQL's log | no | no |
| \`targetSessionAttrs\` | every node is a primary (\`in_hot_standby\` is \`off\`); it has no timeline, and is not asked twice | as CockroachDB | one address |
| missing | | exclusion and deferrable constraints, \`LOCK TABLE\` | foreign keys, sequences, triggers, temporary tables, \`TRUNCATE\`, databases other than \`postgres\` (\`createDatabase\`) |

A server that refuses dblive's startup parameters (\`statement_timeout\`, \`lock_timeout\`) in other words than a [pooler](poolers.md) does is not opened;
\`prepare: false\` sends none of them.

\`DbMigrator\`'s option \`lock: "none"\` (\`--lock none\`) leaves the lock out. It is held by tests on PostgreSQL that of two runners without it none applies what
the other has, where a migration commits together with its row of the history; one of them may fail.

## Replicas and failover of the others

\`replicas\` are PostgreSQL's alone. On SQLite, MySQL, MariaDB and SQL Server the layer does not start: a \`ConfigError\` of \`replicas\` (or of
\`DATABASE_REPLICA_URLS\`) says so, as how far a replica is (GTID, availability groups) is not asked for there. The types do not refuse it: a URL says of which family a
database is, and the options of all families are one type. \`Db.read\` runs on the one server.

Failover is described in [failover.md](failover.md), for PostgreSQL. MySQL, MariaDB and SQL Server take several hosts and
\`targetSessionAttrs\`: each opening asks the hosts one after the other. They have no check of timelines and no \`resolveCommit\`.

## What was tested, and on what

SQLite and PostgreSQL: the real thing. MySQL and MariaDB: a real MariaDB, not MySQL itself. SQL Server: a server of the tests' own that
speaks TDS 7.4 ([test/kit/tds](../test/kit/tds)), and never a real one: a green run says that the driver is correct against our reading of
the protocol. It shows nothing of the optimiser, row locks, collations or real error texts. Nor is it shown by anything else than this
server that prepared statements (\`sp_prepexec\`), a connection's use after an attention, isolation levels and streams are right.

The conformance suite was once run on a server of another maker that speaks TDS, which is not SQL Server either (its error numbers,
WAITFOR and attention differ), with preparing switched off: 48 of 55 tests passed, and the other 7 failed by what that server lacks. Seen
to be right there, too: deadlock and retry, savepoints, migrations by two processes, a session that was killed, and a restart under load (9,002 writes acknowledged,
none lost).

Each test says what it needs: any server, or the stand-in, which it tells what to do or looks into. Those of the second kind run on the stand-in
whatever else there is; the others on a real server by

    docker run -e ACCEPT_EULA=Y -e MSSQL_SA_PASSWORD='Str0ng!Pass' -p 1433:1433 -d mcr.microsoft.com/mssql/server:2022-latest
    TEST_MSSQL_URL='mssql://sa:Str0ng!Pass@localhost:1433/master' npx vitest run test/conformance/mssql.test.ts test/driver/mssql

(the test run itself does this with the stand-in, given by its URL), and on a real MySQL by \`TEST_MYSQL_URL=mysql://root:password@localhost:3306/mysql\`.
`

if (argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("../docs/capabilities.md", import.meta.url), page)
}
