/**
 * One runner at a time, across processes: a lock that the database holds for a connection (SQLite: the operating system
 * for a file) and that is free again when its holder dies.
 *
 * Waiting is asking again, never a statement that waits on the server: that one would hold a snapshot, for which a
 * `CREATE INDEX CONCURRENTLY` of the lock's holder would wait in turn.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Dialect } from "@effect/sql/Statement"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { head, isWord, wordSet } from "../sql/classify.js"
import * as Checksum from "./Checksum.js"
import type { Attempt, Lock } from "./lockContract.js"
import * as Errors from "./MigrationError.js"
import type { MigrationError } from "./MigrationError.js"
import * as SqliteLock from "./SqliteLock.js"

const held: Attempt = { held: true }

/** Of all advisory locks of a PostgreSQL database, ours: "dblv" in ASCII. */
const family = 0x64626c76

/** A name of at most 64 characters, the limit of MySQL. */
const nameOf = (identity: string): string => `dblive:${(Checksum.ofText(identity) >>> 0).toString(16)}`

const unknownHolder = "another session (this user may not see which)"

const postgres = (sql: SqlClient.SqlClient, quoted: string): Lock => {
  // The table's name has its schema in it: tenants with a schema each do not wait for each other.
  const key = Checksum.ofText(quoted) & 0x7fffffff
  const holder = Effect.map(
    sql<Record<string, unknown>>`SELECT a.pid, a.application_name AS program, a.usename AS login,
      host(a.client_addr) AS address, CAST(date_trunc('second', a.backend_start) AS VARCHAR) AS since,
      CASE WHEN a.state = 'active' THEN left(a.query, 200) END AS statement,
      CAST(date_trunc('second', a.query_start) AS VARCHAR) AS began
      FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
        AND l.classid = ${family} AND l.objid = ${key}
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`,
    (rows) =>
      describe("pg", rows[0], (row) => [
        `backend ${String(row["pid"])}`,
        row["program"],
        row["login"] && `user ${String(row["login"])}`,
        row["address"] && `from ${String(row["address"])}`,
        row["since"] && `connected since ${String(row["since"])}`
      ])
  )
  return {
    attempt: Effect.flatMap(
      sql<{ ok: boolean }>`SELECT pg_try_advisory_lock(${family}, ${key}) AS ok`,
      (rows) => rows[0]!.ok ? Effect.succeed(held) : Effect.map(holder, notHeld)
    ),
    release: Effect.ignore(sql`SELECT pg_advisory_unlock(${family}, ${key})`)
  }
}

interface Holder {
  readonly holder: string
  readonly doing: string | undefined
}

const notHeld = (holder: Holder): Attempt => ({ held: false, ...holder })

const withObject = wordSet("create alter drop lock refresh truncate")

/** What a statement is, by its first words: what follows them may be a secret. */
const kindOf = (statement: string, dialect: Dialect): string => {
  const [first = "", second = ""] = head(statement, dialect, 2)
  return !isWord(first) ? "a statement" : withObject.has(first) && isWord(second) ? `${first} ${second}` : first
}

const describe = (
  dialect: Dialect,
  row: Record<string, unknown> | undefined,
  parts: (row: Record<string, unknown>) => ReadonlyArray<unknown>
): Holder =>
  row === undefined ? { holder: unknownHolder, doing: undefined } : {
    holder: parts(row).filter((part) => part !== null && part !== undefined && part !== "").join(", "),
    doing: typeof row["statement"] === "string"
      ? `it runs ${kindOf(row["statement"], dialect)} since ${String(row["began"])}`
      : undefined
  }

const mysql = (sql: SqlClient.SqlClient, quoted: string): Lock => {
  // Names of locks are the server's, not the database's; that of the table has its database in it.
  const name = nameOf(quoted)
  const holder = Effect.map(
    sql<Record<string, unknown>>`SELECT id AS id, user AS login, host AS address,
      CASE WHEN command IN ('Query', 'Execute') THEN LEFT(info, 200) END AS statement,
      CAST(NOW() - INTERVAL time SECOND AS CHAR) AS began
      FROM information_schema.processlist WHERE id = IS_USED_LOCK(${name})`,
    (rows) =>
      describe("mysql", rows[0], (row) => [
        `connection ${String(row["id"])}`,
        `user ${String(row["login"])}`,
        `from ${String(row["address"])}`
      ])
  )
  return {
    attempt: Effect.flatMap(
      sql<{ ok: unknown }>`SELECT GET_LOCK(${name}, 0) AS ok`,
      (rows) => String(rows[0]!.ok) === "1" ? Effect.succeed(held) : Effect.map(holder, notHeld)
    ),
    release: Effect.ignore(sql`SELECT RELEASE_LOCK(${name})`)
  }
}

const mssql = (sql: SqlClient.SqlClient, quoted: string): Lock => {
  const name = nameOf(quoted)
  // Without VIEW SERVER STATE the server does not tell.
  const holder = Effect.orElseSucceed(
    Effect.map(
      sql<Record<string, unknown>>`SELECT s.session_id AS id, s.program_name AS program, s.login_name AS login,
        s.host_name AS address, r.command AS statement, CONVERT(VARCHAR(19), r.start_time, 126) AS began
        FROM sys.dm_tran_locks l JOIN sys.dm_exec_sessions s ON s.session_id = l.request_session_id
        LEFT JOIN sys.dm_exec_requests r ON r.session_id = s.session_id
        WHERE l.resource_type = 'APPLICATION' AND l.request_status = 'GRANT' AND l.resource_database_id = DB_ID()
          AND l.resource_description LIKE ${`%[[]${name}]%`}`,
      (rows) =>
        describe("mssql", rows[0], (row) => [
          `session ${String(row["id"])}`,
          row["program"],
          row["login"] && `user ${String(row["login"])}`,
          row["address"] && `from ${String(row["address"])}`
        ])
    ),
    () => ({ holder: unknownHolder, doing: undefined })
  )
  return {
    attempt: Effect.flatMap(
      sql<{ ok: unknown }>`DECLARE @ok INT; EXEC @ok = sp_getapplock @Resource = ${name}, @LockMode = 'Exclusive',
        @LockOwner = 'Session', @LockTimeout = 0; SELECT @ok AS ok`,
      (rows) => Number(rows[0]!.ok) >= 0 ? Effect.succeed(held) : Effect.map(holder, notHeld)
    ),
    release: Effect.ignore(sql`EXEC sp_releaseapplock @Resource = ${name}, @LockOwner = 'Session'`)
  }
}

const sqlite = (sql: SqlClient.SqlClient, database: string): Effect.Effect<Lock, SqlError> =>
  Effect.map(
    sql<{ file: string | null }>`SELECT file FROM pragma_database_list WHERE name = 'main'`,
    (rows) => {
      const file = rows[0]?.file ?? ""
      // In memory it is seen by this connection only.
      return file === "" ? { attempt: Effect.succeed(held), release: Effect.void } : SqliteLock.make(file, database)
    }
  )

const make = (
  client: SqlClient.SqlClient,
  dialect: Dialect,
  quoted: string,
  database: string
): Effect.Effect<Lock, SqlError> => {
  const sql = client.withoutTransforms()
  switch (dialect) {
    case "pg":
      return Effect.succeed(postgres(sql, quoted))
    case "mysql":
      return Effect.succeed(mysql(sql, quoted))
    case "mssql":
      return Effect.succeed(mssql(sql, quoted))
    case "sqlite":
      return sqlite(sql, database)
    case "clickhouse":
      return Effect.succeed({ attempt: Effect.succeed(held), release: Effect.void })
  }
}

const described = ({ doing, holder }: Exclude<Attempt, { readonly held: true }>): string =>
  doing === undefined ? holder : `${holder}; ${doing}`

/** Short at first, because most runs have nothing to do and end at once. */
const firstPause = 20
const longestPause = 500

/** What the lock is asked for with. */
export interface Options {
  readonly database: string
  readonly dialect: Dialect
  /** The history table, as written in SQL. */
  readonly quoted: string
  /** The longest wait. */
  readonly wait: Duration.Duration
  /** Told when the waiting begins and whenever the holder changes. */
  readonly onWait: (holder: string) => Effect.Effect<void>
}

/** Takes the lock until the scope closes. The connection of `SqlClient` must be pinned: the lock is its. */
export const acquire = (
  options: Options
): Effect.Effect<void, SqlError | MigrationError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const lock = yield* make(sql, options.dialect, options.quoted, options.database)
    const began = yield* Clock.currentTimeMillis
    const limit = Duration.toMillis(options.wait)
    let told: string | undefined
    let pause = firstPause
    // One attempt is masked together with its finalizer: a lock that was granted cannot be forgotten.
    const attempt = Effect.uninterruptible(
      Effect.tap(lock.attempt, (result) => result.held ? Effect.addFinalizer(() => lock.release) : Effect.void)
    )
    while (true) {
      const result = yield* attempt
      if (result.held) {
        return
      }
      const waited = (yield* Clock.currentTimeMillis) - began
      if (waited >= limit) {
        return yield* Effect.fail(Errors.make({
          reason: "Locked",
          database: options.database,
          problem: `another runner holds the lock: ${described(result)}; waited ${Math.round(waited / 1000)} s`
        }))
      }
      if (result.holder !== told) {
        told = result.holder
        yield* options.onWait(described(result))
      }
      yield* Effect.sleep(Math.min(pause, limit - waited))
      pause = Math.min(pause * 1.5, longestPause)
    }
  })
