import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { inject } from "vitest"
import type { DbError } from "../../../src/DbError.js"
import type { Connection } from "../../../src/driver/Driver.js"
import { describePostgres, eventually, freshDatabase, observer, type Query } from "../../kit/postgres.js"
import { afterMessage, type Direction, makeProxy } from "../../kit/proxy.js"
import { cancel, driverAt, execute, opened, request, reset, value } from "./fixture.js"

const running = (ask: Query, connection: Connection) =>
  eventually(
    ask("SELECT wait_event FROM pg_stat_activity WHERE pid = $1", [connection.id]),
    ([row]) => row!["wait_event"] === "PgSleep"
  )

/** Starts a statement that sleeps; what it ended with is in the array. */
const sleep = (connection: Connection, seconds: number) => {
  const ended: Array<DbError | undefined> = []
  connection.execute(request("SELECT pg_sleep($1)", [seconds]), (error) => ended.push(error))
  return ended
}

const codeOf = (error: DbError | undefined) => error === undefined ? "none" : `${error._tag} ${(error as any).code}`

const noTls = " (skipped: the given server has no certificate of ours)"
const noSocket = " (skipped: the given server has no unix socket that is known)"
const folder = inject("postgresSocketDirectory")

describePostgres("cancelling on PostgreSQL", () => {
  for (const ssl of ["disable", "require"] as const) {
    const skipped = ssl === "require" && inject("caCert") === undefined
    it.scoped.skipIf(skipped)(
      `stops what runs, by a socket of its own to the same address (ssl ${ssl})${skipped ? noTls : ""}`,
      () =>
        Effect.gen(function*() {
          const database = yield* freshDatabase
          const ask = yield* observer(database.url)
          const proxy = yield* makeProxy({ host: database.host, port: database.port })
          const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl })))
          const ended = sleep(connection, 60)
          yield* running(ask, connection)
          const before = proxy.counts().connections
          const syncs = () => proxy.counts().messages.frontend["S"] ?? 0
          const sent = syncs()
          yield* cancel(connection)
          assert.deepStrictEqual(ended.map(codeOf), ["QueryError 57014"])
          assert.strictEqual(ended[0]!.outcome, "RolledBack")
          assert.strictEqual(proxy.counts().connections, before + 1)
          // It is settled by a round trip of its own; under TLS the proxy cannot see it.
          if (ssl === "disable") assert.strictEqual(syncs(), sent + 1)
          assert.deepStrictEqual(
            (yield* ask("SELECT state FROM pg_stat_activity WHERE pid = $1", [connection.id]))[0],
            { state: "idle" }
          )
          assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
        })
    )
  }

  it.scoped.skipIf(folder === undefined)(
    `works over a unix socket${folder === undefined ? noSocket : ""}`,
    () =>
      Effect.gen(function*() {
        const database = yield* freshDatabase
        const ask = yield* observer(database.url)
        const connection = yield* Effect.orDie(opened(yield* driverAt(database.url, { host: folder!, ssl: "require" })))
        const ended = sleep(connection, 60)
        yield* running(ask, connection)
        yield* cancel(connection)
        assert.deepStrictEqual(ended.map(codeOf), ["QueryError 57014"])
      })
  )

  it.scoped("with a statement limit in force it is still a cancel, not a timeout", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const ask = yield* observer(url)
      const connection = yield* Effect.orDie(opened(yield* driverAt(url, { limits: { statementTimeout: "1 hour" } })))
      const ended = sleep(connection, 60)
      yield* running(ask, connection)
      yield* cancel(connection)
      assert.deepStrictEqual(ended.map(codeOf), ["QueryError 57014"])
    }))

  it.scoped("has nothing to do where nothing runs, and two cancels at once are one", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const ask = yield* observer(database.url)
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
      yield* cancel(connection)
      assert.strictEqual(proxy.counts().connections, 1)
      const ended = sleep(connection, 60)
      yield* running(ask, connection)
      yield* Effect.all([cancel(connection), cancel(connection)], { concurrency: 2 })
      assert.strictEqual(ended.length, 1)
      assert.strictEqual(proxy.counts().connections, 2)
    }))

  it.scoped("a late cancel never hits what comes after it: 300 races", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const connection = yield* Effect.orDie(opened(yield* driverAt(url, { ssl: "disable" })))
      for (let i = 0; i < 300; i++) {
        // Some end when the cancel comes; one of ten is there for certain, however long the cancel takes.
        const lasts = i % 10 === 9
        const ended = sleep(connection, lasts ? 60 : (i % 10) / 2000)
        yield* cancel(connection)
        assert.strictEqual(ended.length, 1, "cancel is done only when its statement has ended")
        if (lasts) assert.strictEqual(codeOf(ended[0]), "QueryError 57014")
        // The innocent one.
        assert.strictEqual(yield* value(connection, "SELECT 1 FROM pg_sleep(0.001)"), 1)
      }
    }))

  it.scoped("a cancel that the server got before the statement is sent again", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
      // The statement is under way for longer than the first cancel takes; bytes of new connections are not delayed less,
      // so the cancel's are sent while the delay is lifted.
      proxy.delay(150, "frontend")
      const ended = sleep(connection, 60)
      proxy.delay(0, "frontend")
      yield* cancel(connection)
      assert.deepStrictEqual(ended.map(codeOf), ["QueryError 57014"])
    }))

  it.scoped("a cancel that cannot be delivered is an error, and destroy ends one that hangs", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const driver = yield* driverAt(proxy.url(database.url), { ssl: "disable" })
      const connection = yield* Effect.orDie(opened(driver))
      const ended = sleep(connection, 60)
      yield* proxy.refuse
      const error = yield* Effect.flip(cancel(connection))
      assert.deepStrictEqual([error._tag, error.reason], ["ConnectionError", "Refused"])
      assert.deepStrictEqual(ended, [])
      connection.destroy()
      assert.strictEqual(ended.length, 1)

      yield* proxy.accept
      const silent = yield* Effect.orDie(opened(driver))
      sleep(silent, 60)
      proxy.blackHole()
      const cancelled: Array<DbError | undefined> = []
      silent.cancel((failure) => cancelled.push(failure))
      silent.destroy()
      assert.strictEqual(cancelled.length, 1)
      assert.strictEqual(cancelled[0]!.reason, "Lost")
    }))

  it.scoped("a cancel whose link does not end costs the connection, as its signal could come at any time", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const driver = yield* driverAt(proxy.url(database.url), { ssl: "disable" })
      const connection = yield* Effect.orDie(opened(driver))
      const ended = sleep(connection, 60)
      proxy.blackHole()
      const error = yield* Effect.flip(cancel(connection))
      assert.deepStrictEqual([error._tag, error.reason], ["ConnectionError", "Lost"])
      assert.isTrue(connection.lost)
      yield* eventually(Effect.sync(() => ended.length), (count) => count === 1)
    }))

  it.scoped("a request of several steps is stopped whichever step the cancel meets", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const ask = yield* observer(database.url)
      const proxy = yield* makeProxy(database)
      const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
      const messages = (direction: Direction) =>
        Object.values(proxy.counts().messages[direction]).reduce((sum, count) => sum + count, 0)
      for (
        // BEGIN, a limit and two statements by the simple protocol; and a limit set, VACUUM, and set back.
        const [text, options] of [
          ["SELECT pg_sleep(60); SELECT 1", { begin: "BEGIN", statementTimeout: 100_000 }],
          ["DO $$ BEGIN PERFORM pg_sleep(60); END $$", { statementTimeout: 100_000 }]
        ] as const
      ) {
        const start = () => {
          const ended: Array<DbError | undefined> = []
          proxy.resetCounts()
          connection.execute(request(text, [], options), (error) => ended.push(error))
          return ended
        }
        const isStopped = Effect.fnUntraced(function*(ended: ReadonlyArray<DbError | undefined>, when: string) {
          assert.deepStrictEqual(ended.map(codeOf), ["QueryError 57014"], when)
          yield* reset(connection, "discard")
          assert.strictEqual(yield* value(connection, "SHOW statement_timeout"), "0", when)
        })
        const whole = start()
        yield* running(ask, connection)
        const counts = { frontend: messages("frontend"), backend: messages("backend") }
        yield* cancel(connection)
        yield* isStopped(whole, "while it sleeps")
        assert.isAtLeast(counts.frontend, 2)
        assert.isAtLeast(counts.backend, 2)
        for (const direction of ["frontend", "backend"] as const) {
          for (let count = 1; count <= counts[direction]; count++) {
            let passed = 0
            const { fired } = proxy.at(afterMessage(direction, () => ++passed === count), "hold")
            const ended = start()
            yield* fired
            const cancelling = yield* Effect.fork(cancel(connection))
            const requests = Effect.sync(() => proxy.counts().messages.frontend["cancelRequest"] ?? 0)
            yield* eventually(requests, (n) => n > 0)
            proxy.heal()
            yield* Fiber.join(cancelling)
            yield* isStopped(ended, `after message ${count} of the ${direction}`)
          }
        }
      }
    }), 60_000)

  it.scoped("COMMIT that is stopped is rolled back", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const ask = yield* observer(url)
      const connection = yield* Effect.orDie(opened(yield* driverAt(url)))
      yield* execute(connection, "CREATE TABLE t (id int4)")
      yield* execute(
        connection,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$"
      )
      yield* execute(
        connection,
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
      )
      yield* execute(connection, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN" })
      const ended: Array<DbError | undefined> = []
      connection.execute(request("COMMIT"), (error) => ended.push(error))
      yield* running(ask, connection)
      yield* cancel(connection)
      assert.deepStrictEqual(ended.map((error) => error!.outcome), ["RolledBack"])
      assert.strictEqual(connection.transaction, "idle")
      assert.deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))
})
