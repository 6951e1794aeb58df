/**
 * What this package is for, beside the client of `@effect/sql-pg` on the same server. Where a test of theirs fails after an update,
 * that client has mended it: then the claim in the documents goes.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Db } from "../../src/Db.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { beforeReply, makeProxy, type Proxy } from "../kit/proxy.js"

interface Place {
  readonly sql: SqlClient.SqlClient
  readonly proxy: Proxy
}

const ours = (url: string) =>
  Db.layer({
    url,
    ssl: false,
    pool: { size: 1, overflow: 0, acquireTimeout: "400 millis", keepalive: 0 },
    limits: { statementTimeout: "400 millis" }
  })

const theirs = (url: string) =>
  PgClient.layer({ url: Redacted.make(url), ssl: false, maxConnections: 1, connectTimeout: "2 seconds" })

type Client = (url: string) => Layer.Layer<SqlClient.SqlClient, unknown>

/** Both clients behind a proxy, with one connection each. */
const on = <A, E>(client: Client, use: (place: Place) => Effect.Effect<A, E>): Effect.Effect<A, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const database = yield* freshDatabase
    const proxy = yield* makeProxy(database)
    return yield* Effect.flatMap(SqlClient.SqlClient, (sql) => use({ sql, proxy })).pipe(
      Effect.provide(client(proxy.url(database.url)))
    )
  }))

const retrying = <A>(effect: Effect.Effect<A, SqlError>) =>
  Effect.exit(Effect.retry(effect, {
    while: (error) => error.isRetryable,
    schedule: Schedule.recurs(3)
  }))

/** The rows after an INSERT whose first answer is lost, and which is tried again where the error says that it may be. */
const afterLostAnswer = (client: Client, tag: "INSERT" | "COMMIT") =>
  on(client, ({ proxy, sql }) =>
    Effect.gen(function*() {
      yield* sql`CREATE TABLE t (n int)`
      const insert = sql`INSERT INTO t VALUES (1)`
      proxy.at(beforeReply(tag), "cut")
      yield* retrying(tag === "INSERT" ? Effect.asVoid(insert) : Effect.asVoid(sql.withTransaction(insert)))
      const rows = yield* Effect.retry(sql<{ n: number }>`SELECT count(*)::int AS n FROM t`, { times: 3 })
      return rows[0]?.n
    }))

/** What the next borrower of a connection finds of one that left something behind. */
const leftBehind = (client: Client) =>
  on(client, ({ sql }) =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.flatMap(sql.reserve, (connection) =>
        Effect.forEach([
          "SET work_mem = '77MB'",
          "CREATE TEMP TABLE left_behind (n int)",
          "SELECT pg_advisory_lock(42)"
        ], (text) => connection.executeUnprepared(text, [], undefined))))
      return {
        ...(yield* sql<{ setting: string }>`SELECT current_setting('work_mem') AS setting`)[0],
        ...(yield* sql<{ table: boolean }>`SELECT to_regclass('left_behind') IS NOT NULL AS "table"`)[0],
        ...(yield* sql<{ locks: number }>`SELECT count(*)::int AS locks FROM pg_locks WHERE locktype = 'advisory'`)[0]
      }
    }))

/** Rows of a statement that a sibling runs while a savepoint beside it is open, which is undone. */
const besideSavepoint = (client: Client) =>
  on(client, ({ sql }) =>
    Effect.gen(function*() {
      yield* sql`CREATE TABLE t (n int)`
      const opened = yield* Deferred.make<void>()
      yield* sql.withTransaction(Effect.gen(function*() {
        const nested = yield* Effect.forkChild(Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO t VALUES (1)`
          yield* Deferred.succeed(opened, undefined)
          // The sibling's statement is sent now, or waits for this savepoint.
          yield* Effect.yieldNow
          yield* sql`SELECT pg_sleep(0.05)`
          return yield* Effect.fail("undone")
        }))))
        yield* Deferred.await(opened)
        const sibling = yield* Effect.forkChild(sql`INSERT INTO t VALUES (2)`)
        yield* Fiber.join(nested)
        yield* Fiber.join(sibling)
      }))
      return yield* sql`SELECT n FROM t`
    }))

/** Whether a statement ends by itself in a network that swallows everything. */
const inBlackHole = (client: Client) =>
  on(client, ({ proxy, sql }) =>
    Effect.gen(function*() {
      yield* sql`SELECT 1`
      proxy.blackHole()
      const ended = yield* Effect.timeoutOption(Effect.exit(sql`SELECT 2`), "1500 millis")
      proxy.cutAll()
      return ended._tag === "Some"
    }))

/** Whether a fiber that waits for a connection stops waiting by itself. */
const inQueue = (client: Client) =>
  on(client, ({ sql }) =>
    Effect.scoped(Effect.gen(function*() {
      yield* sql.reserve
      const ended = yield* Effect.timeoutOption(Effect.exit(sql`SELECT 2`), "1500 millis")
      return ended._tag === "Some" && Exit.isFailure(ended.value)
    })))

/** Whether BEGIN by hand reaches the next borrower: its INSERT is gone then. */
const openBegin = (client: Client) =>
  on(client, ({ proxy, sql }) =>
    Effect.gen(function*() {
      yield* sql`CREATE TABLE t (n int)`
      yield* Effect.exit(
        Effect.scoped(Effect.flatMap(sql.reserve, (connection) => connection.executeUnprepared("BEGIN", [], undefined)))
      )
      yield* sql`INSERT INTO t VALUES (1)`
      proxy.cutAll()
      const rows = yield* Effect.retry(sql<{ n: number }>`SELECT count(*)::int AS n FROM t`, { times: 3 })
      return rows[0]?.n
    }))

const compared = <A>(name: string, run: (client: Client) => Effect.Effect<A, unknown>, own: A, other: A): void => {
  describe(name, () => {
    it.live("here", () => Effect.map(run(ours), (found) => assert.deepStrictEqual(found, own)))
    it.live("in @effect/sql-pg", () => Effect.map(run(theirs), (found) => assert.deepStrictEqual(found, other)))
  })
}

describePostgres("beside the client of @effect/sql-pg", () => {
  compared("rows of an INSERT whose answer is lost", (client) => afterLostAnswer(client, "INSERT"), 1, 2)
  compared("rows of a transaction whose answer to COMMIT is lost", (client) => afterLostAnswer(client, "COMMIT"), 1, 2)
  compared(
    "what a borrower leaves behind",
    leftBehind,
    { setting: "4MB", table: false, locks: 0 },
    { setting: "77MB", table: true, locks: 1 }
  )
  compared("an INSERT after somebody's BEGIN", openBegin, 1, 0)
  compared<unknown>("a statement beside a savepoint that is undone", besideSavepoint, [{ n: 2 }], [])
  compared("a statement ends in a black hole", inBlackHole, true, false)
  compared("a wait for a connection ends", inQueue, true, false)
})
