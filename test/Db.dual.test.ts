/** Each form of what takes an effect and options does the same: in a pipe, with the effect first, with and without options. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Db } from "../src/Db.js"
import type { DbError } from "../src/DbError.js"
import * as DbHttp from "../src/DbHttp.js"
import * as DbRegistry from "../src/DbRegistry.js"
import * as DbTest from "../src/DbTest.js"
import { fakeErrors } from "./kit/fakeDriver.js"

class North extends Db.Tag("North")<North>() {}

const insert = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO note VALUES ('a')`)
const select = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1 AS one`)

/** Whether the fiber is in a transaction, a session, or neither. */
const status = Effect.zip(Db.transactionStatus, Effect.map(Db.info, ({ sessions }) => sessions.active))

/** Fails so often as it is told, then gives the number of its runs. */
const failing = (times: number) => {
  let runs = 0
  return Effect.suspend((): Effect.Effect<number, DbError> =>
    runs++ < times ? Effect.fail(fakeErrors.deadlock) : Effect.succeed(runs)
  )
}

const at = DbTest.sqlite({
  migrations: Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE note (body TEXT)`)
})

describe("data-first, data-last and without options", () => {
  it.live("of session", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* status.pipe(Db.session), ["idle", 1])
      assert.deepStrictEqual(yield* Db.session(status), ["idle", 1])
      assert.deepStrictEqual(yield* status, ["idle", 0])
    }).pipe(Effect.provide(at)))

  it.live("of transaction", () =>
    Effect.gen(function*() {
      const begun = (effect: Effect.Effect<unknown, unknown, Db>) =>
        Effect.map(DbTest.record(effect), ([, sent]) => sent.map(({ text }) => text))
      const writing = ["BEGIN IMMEDIATE", "INSERT INTO note VALUES ('a')", "COMMIT"]
      assert.deepStrictEqual(yield* begun(insert.pipe(Db.transaction)), writing)
      assert.deepStrictEqual(yield* begun(Db.transaction(insert)), writing)
      assert.deepStrictEqual(yield* begun(Db.transaction({})(insert)), writing)
      assert.deepStrictEqual(yield* begun(Db.transaction(insert, {})), writing)
      const reading = ["BEGIN", "SELECT 1 AS one", "COMMIT"]
      assert.deepStrictEqual(yield* begun(select.pipe(Db.transaction({ readOnly: true }))), reading)
      assert.deepStrictEqual(yield* begun(Db.transaction(select, { readOnly: true })), reading)
      assert.deepStrictEqual((yield* begun(select.pipe(Db.transaction, Db.transaction))).length, 5)
    }).pipe(Effect.provide(at)))

  it.live("of retry", () =>
    Effect.gen(function*() {
      const once = Schedule.recurs(1)
      const whole = (times: number) => Db.transaction(failing(times))
      assert.strictEqual(yield* whole(1).pipe(Db.retry), 2)
      assert.strictEqual(yield* Db.retry(whole(1)), 2)
      assert.strictEqual(yield* whole(1).pipe(Db.retry(once)), 2)
      assert.strictEqual(yield* Db.retry(whole(1), once), 2)
      assert.strictEqual(yield* Effect.flip(Db.retry(whole(2), once)), fakeErrors.deadlock)
      assert.strictEqual(yield* failing(1).pipe(Db.retry({ idempotent: true })), 2)
      assert.strictEqual(yield* Db.retry(failing(1), { idempotent: true }), 2)
      assert.strictEqual(
        yield* Effect.flip(Db.retry(failing(2), { idempotent: true, schedule: once })),
        fakeErrors.deadlock
      )
    }).pipe(Effect.provide(at)))

  it.live("of withTimeout and withLimits", () =>
    Effect.gen(function*() {
      const slow = Effect.zipRight(Effect.sleep("10 millis"), Db.query("SELECT 1"))
      for (const late of [slow.pipe(Db.withTimeout("1 millis")), Db.withTimeout(slow, "1 millis")]) {
        assert.strictEqual((yield* Effect.flip(late))._tag, "TimeoutError")
      }
      const long = Effect.flip(Db.transaction(Effect.never))
      const limits = { transactionTimeout: "1 millis" } as const
      for (const late of [long.pipe(Db.withLimits(limits)), Db.withLimits(long, limits)]) {
        assert.deepInclude(yield* late, { _tag: "TimeoutError", phase: "Transaction" })
      }
    }).pipe(Effect.provide(at)))

  it.live("of a named database's members", () =>
    Effect.gen(function*() {
      const inside = Effect.zipRight(North.query("SELECT 1"), North.transactionStatus)
      assert.strictEqual(yield* inside.pipe(North.transaction), "open")
      assert.strictEqual(yield* North.transaction(inside, { readOnly: true }), "open")
      assert.strictEqual(yield* North.retry(North.transaction(inside)), "open")
      assert.strictEqual(yield* North.session(inside), "idle")
    }).pipe(Effect.provide(North.layer({ url: "sqlite://:memory:" }))))

  it.live("of DbTest's assertions", () =>
    Effect.gen(function*() {
      const asked: Effect.Effect<ReadonlyArray<object>, DbError, North> = North.query("SELECT 1 AS one")
      const database = { database: North }
      const counts: ReadonlyArray<number> = [
        (yield* DbTest.countQueries(asked, database))[1],
        (yield* asked.pipe(DbTest.countQueries(database)))[1],
        (yield* DbTest.record(asked, database))[1].length,
        (yield* asked.pipe(DbTest.record(database)))[1].length
      ]
      assert.deepStrictEqual(counts, [1, 1, 1, 1])
      assert.deepStrictEqual(yield* DbTest.noLeaks(asked, database), [{ one: 1 }])
      assert.deepStrictEqual(yield* asked.pipe(DbTest.noLeaks(database)), [{ one: 1 }])
    }).pipe(Effect.provide(DbTest.recorded(North.layer({ url: "sqlite://:memory:" })))))

  it.live("of DbTest's assertions on the default database", () =>
    Effect.gen(function*() {
      const asked = Db.query("SELECT 1 AS one")
      assert.strictEqual((yield* asked.pipe(DbTest.countQueries))[1], 1)
      assert.strictEqual((yield* asked.pipe(DbTest.record))[1].length, 1)
      assert.deepStrictEqual(yield* asked.pipe(DbTest.noLeaks), [{ one: 1 }])
    }).pipe(Effect.provide(at)))

  it.live("of DbRegistry.use", () =>
    Effect.gen(function*() {
      const name = Effect.map(Db.info, (info) => info.name)
      assert.strictEqual(yield* name.pipe(DbRegistry.use("north")), "north")
      assert.strictEqual(yield* DbRegistry.use(name, "south"), "south")
      const registry = yield* DbRegistry.DbRegistry
      assert.strictEqual(yield* registry.use(name, "north"), "north")
    }).pipe(Effect.provide(DbRegistry.layer({ north: memory, south: memory }))))

  it.scopedLive("of DbHttp.withTransaction and DbHttp.withSession", () =>
    Effect.gen(function*() {
      const handler = Effect.map(Effect.orDie(Effect.zipRight(Db.query("SELECT 1"), status)), ([state]) =>
        HttpServerResponse.text("", { headers: { state } }))
      const stateOf = <R>(effect: Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>) =>
        Effect.map(effect, ({ headers }) =>
          headers["state"])
      const transactions: ReadonlyArray<Effect.Effect<HttpServerResponse.HttpServerResponse, never, Db>> = [
        handler.pipe(DbHttp.withTransaction(Db)),
        handler.pipe(DbHttp.withTransaction(Db, undefined)),
        handler.pipe(DbHttp.withTransaction(Db, { readOnly: true })),
        DbHttp.withTransaction(handler, Db),
        DbHttp.withTransaction(handler, Db, { readOnly: true })
      ]
      for (const app of transactions) {
        assert.strictEqual(yield* stateOf(app), "open")
      }
      const sessions: ReadonlyArray<
        Effect.Effect<HttpServerResponse.HttpServerResponse, never, Db | Scope.Scope>
      > = [handler.pipe(DbHttp.withSession(Db)), DbHttp.withSession(handler, Db)]
      for (const app of sessions) {
        assert.strictEqual(yield* stateOf(app), "idle")
      }
    }).pipe(Effect.provide(at)))
})

const memory = { url: "sqlite://:memory:" } as const
