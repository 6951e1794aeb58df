import * as Reactivity from "@effect/experimental/Reactivity"
import { PgClient } from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection as SqlConnection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { inspect } from "node:util"
import type { Options } from "../../../src/DbConfig.js"
import { fromSqlError, toSqlError } from "../../../src/DbError.js"
import type { Driver } from "../../../src/driver/Driver.js"
import * as Pg from "../../../src/driver/Pg.js"
import { describePostgres, eventually, freshDatabase, observer } from "../../kit/postgres.js"
import { makeProxy } from "../../kit/proxy.js"
import { driverAt, execute, opened } from "./fixture.js"

/** The services of a driver, over the plainest client: one connection. */
const clientOf = (driver: Driver) =>
  Effect.gen(function*() {
    const connection = yield* Effect.orDie(opened(driver))
    const run = (text: string, params: ReadonlyArray<unknown>) =>
      Effect.mapError(execute(connection, text, params), toSqlError)
    const sqlConnection: SqlConnection = {
      execute: (text, params, transform) =>
        Effect.map(run(text, params), (rows) => transform === undefined ? rows : transform(rows)),
      executeRaw: run,
      executeValues: run,
      executeUnprepared: (text, params) => run(text, params),
      executeStream: () => Stream.die("not needed here")
    }
    const client = yield* SqlClient.make({
      acquirer: Effect.succeed(sqlConnection),
      compiler: driver.compiler,
      spanAttributes: [],
      ...(driver.transformRows === undefined ? {} : { transformRows: driver.transformRows })
    })
    const services = yield* driver.services({
      client,
      database: "default",
      connection: Effect.succeed(connection)
    })
    return Context.unsafeGet(services, PgClient)
  }).pipe(Effect.provide(Reactivity.layer))

const fresh = (options: Options = {}) =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const proxy = yield* makeProxy({ host: database.host, port: database.port })
    const driver = yield* driverAt(proxy.url(database.url), { ssl: "disable", ...options })
    const sql = yield* clientOf(driver)
    const ask = yield* observer(database.url)
    const listening = ask(
      "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'LISTEN%' AND state = 'idle'",
      [database.name]
    )
    return { ask, database, listening, proxy, sql }
  })

/** Collects what a stream says, in a queue. */
const collect = (stream: Stream.Stream<string, SqlError>) =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<string>()
    const fiber = yield* Effect.forkScoped(Stream.runForEach(stream, (payload) => queue.offer(payload)))
    return { queue, fiber }
  })

describePostgres("PgClient", () => {
  it.scoped("json sends null, strings, arrays and objects as JSON", () =>
    Effect.gen(function*() {
      const { sql } = yield* fresh()
      yield* sql`CREATE TABLE t (id serial PRIMARY KEY, v jsonb NOT NULL)`
      const values = [null, "text", "{}", [1, [2]], { a: { b: null } }, 3, true]
      for (const value of values) yield* sql`INSERT INTO t (v) VALUES (${sql.json(value)})`
      yield* sql`INSERT INTO t ${sql.insert({ v: sql.json([]) })}`
      const rows = yield* sql<{ v: unknown }>`SELECT v FROM t ORDER BY id`
      assert.deepStrictEqual(rows.map((row) => row.v), [...values, []])
    }))

  it.scoped("values that are not as many as the parameters were not sent", () =>
    Effect.gen(function*() {
      const { sql } = yield* fresh()
      for (const [text, values] of [["SELECT 1", [1, 2, 3]], ["SELECT $1::int + $2::int", [1]]] as const) {
        const error = fromSqlError(yield* Effect.flip(sql.unsafe(text, values)), "default")
        assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent", code: "08P01" })
      }
    }))

  it.scoped("names are transformed, within JSON where it is asked for", () =>
    Effect.gen(function*() {
      const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
      const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      for (const transformJson of [true, false]) {
        const { ask, sql } = yield* fresh({ transformQueryNames: snake, transformResultNames: camel, transformJson })
        yield* sql`CREATE TABLE t (some_value jsonb)`
        yield* sql`INSERT INTO t ${sql.insert({ someValue: sql.json({ innerName: [{ twoWords: 1 }] }) })}`
        assert.deepStrictEqual(
          (yield* ask("SELECT some_value FROM t"))[0]!["some_value"],
          transformJson ? { inner_name: [{ two_words: 1 }] } : { innerName: [{ twoWords: 1 }] }
        )
        assert.deepStrictEqual(yield* sql`SELECT some_value FROM t`, [
          { someValue: { innerName: [{ twoWords: 1 }] } }
        ])
      }
    }))

  it.scoped("its configuration has no secret in sight", () =>
    Effect.gen(function*() {
      const { database, sql } = yield* fresh()
      assert.strictEqual(sql.config.database, database.name)
      assert.strictEqual(Redacted.value(sql.config.password!), database.password)
      assert.notInclude(inspect(sql.config, { depth: 10, showHidden: true }), database.password)
      assert.notInclude(JSON.stringify(sql.config), database.password)
    }))

  it.scoped("notify reaches every listener of the channel, in order, with empty payloads too", () =>
    Effect.gen(function*() {
      const { listening, sql } = yield* fresh()
      const one = yield* collect(sql.listen("Some \"channel\""))
      const two = yield* collect(sql.listen("Some \"channel\""))
      const other = yield* collect(sql.listen("other"))
      yield* eventually(listening, (rows) => rows.length === 1)
      // The streams begin at their own time: each is heard once it has said that it hears.
      const sure = (queue: Queue.Queue<string>, channel: string) =>
        eventually(
          Effect.zipRight(Effect.orDie(sql.notify(channel, "are you there?")), queue.size),
          (size) => size > 0
        )
      yield* sure(one.queue, "Some \"channel\"")
      yield* sure(two.queue, "Some \"channel\"")
      yield* sure(other.queue, "other")
      for (const { queue } of [one, two, other]) yield* queue.takeAll
      for (const payload of ["a", "", "it's \"quoted\" 😀", "b"]) yield* sql.notify("Some \"channel\"", payload)
      for (const { queue } of [one, two]) {
        const heard: Array<string> = []
        while (heard.at(-1) !== "b") heard.push(yield* Queue.take(queue))
        assert.deepStrictEqual(heard.filter((payload) => payload !== "are you there?"), [
          "a",
          "",
          "it's \"quoted\" 😀",
          "b"
        ])
      }
      assert.isTrue(Array.from(yield* other.queue.takeAll).every((payload) => payload === "are you there?"))
    }))

  it.scoped("what is sent as soon as the server listens is not missed", () =>
    Effect.gen(function*() {
      const { ask, listening, sql } = yield* fresh()
      for (let i = 0; i < 10; i++) {
        const fiber = yield* Effect.fork(Stream.runHead(sql.listen("a")))
        yield* eventually(listening, (rows) => rows.length === 1)
        yield* ask("SELECT pg_notify('a', $1)", [`${i}`])
        assert.deepStrictEqual(yield* Fiber.join(fiber), Option.some(`${i}`))
        yield* eventually(listening, (rows) => rows.length === 0)
      }
    }))

  it.scoped("one listener's end does not deafen another; the last one's closes the connection", () =>
    Effect.gen(function*() {
      const { ask, database, listening, sql } = yield* fresh()
      const one = yield* collect(sql.listen("a"))
      const two = yield* collect(sql.listen("a"))
      const heard = (queue: Queue.Queue<string>) =>
        eventually(Effect.zipRight(Effect.orDie(sql.notify("a", "x")), queue.size), (size) => size > 0)
      yield* heard(one.queue)
      yield* heard(two.queue)
      const [{ pid }] = (yield* listening) as [any]
      yield* Fiber.interrupt(one.fiber)
      yield* two.queue.takeAll
      yield* heard(two.queue)
      yield* Fiber.interrupt(two.fiber)
      yield* eventually(
        ask("SELECT count(*)::int4 AS n FROM pg_stat_activity WHERE pid = $1 AND datname = $2", [pid, database.name]),
        ([row]) => row!["n"] === 0
      )
      // And it can be begun again.
      const three = yield* collect(sql.listen("a"))
      yield* heard(three.queue)
    }))

  it.scoped("a listener that is interrupted while it asks the server does not deafen another", () =>
    Effect.gen(function*() {
      const { ask, listening, proxy, sql } = yield* fresh()
      const one = yield* collect(sql.listen("a"))
      const heard = eventually(
        Effect.zipRight(Effect.orDie(sql.notify("a", "x")), one.queue.size),
        (size) => size > 0
      )
      yield* heard
      const [{ pid }] = (yield* listening) as [any]
      proxy.resetCounts()
      proxy.delay(50)
      const asking = yield* Effect.fork(Stream.runDrain(sql.listen("b")))
      yield* eventually(Effect.sync(() => proxy.counts().statements), (sent) => sent.includes("LISTEN \"b\""))
      yield* Fiber.interrupt(asking)
      proxy.delay(0)
      yield* sql.notify("a", "the last")
      yield* eventually(Effect.map(Queue.takeAll(one.queue), Array.from), (payloads) => payloads.includes("the last"))
      assert.deepStrictEqual(yield* ask("SELECT query FROM pg_stat_activity WHERE pid = $1", [pid]), [
        { query: "UNLISTEN \"b\"" }
      ])
    }))

  it.scoped("a lost connection listens again, says so, and is counted", () => {
    const warnings: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel.label === "WARN") warnings.push(String(message))
    })
    return Effect.gen(function*() {
      const { ask, listening, proxy, sql } = yield* fresh()
      const counter = Metric.tagged(Pg.reconnects, "db.client.connection.pool.name", "default")
      const before = (yield* Metric.value(counter)).count
      const one = yield* collect(sql.listen("a"))
      const two = yield* collect(sql.listen("b"))
      const heard = (channel: string, queue: Queue.Queue<string>) =>
        eventually(Effect.zipRight(Effect.orDie(sql.notify(channel, "x")), queue.size), (size) => size > 0)
      yield* heard("a", one.queue)
      yield* heard("b", two.queue)

      const [{ pid }] = (yield* listening) as [any]
      yield* ask("SELECT pg_terminate_backend($1)", [pid])
      yield* eventually(listening, (rows) => rows.length === 1 && rows[0]!["pid"] !== pid)
      yield* one.queue.takeAll
      yield* two.queue.takeAll
      yield* heard("a", one.queue)
      yield* heard("b", two.queue)
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0]!, "\"default\"")
      assert.strictEqual((yield* Metric.value(counter)).count, before + 1)

      // A link that only goes silent is found out by asking, and given up.
      const [link] = proxy.connections().slice(-1)
      link!.hold()
      yield* TestClock.adjust("30 seconds")
      yield* TestClock.adjust("10 seconds")
      yield* eventually(listening, (rows) => rows.some((row) => row["pid"] !== pid))
      yield* eventually(Effect.sync(() => warnings.length), (count) => count === 2)
      yield* eventually(Effect.map(Metric.value(counter), ({ count }) => count), (count) => count === before + 2)
      yield* one.queue.takeAll
      yield* heard("a", one.queue)
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.scoped("a connection that goes silent is noticed within keepalive, and made again", () => {
    const warnings: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel.label === "WARN") warnings.push(String(message))
    })
    return Effect.gen(function*() {
      const { listening, proxy, sql } = yield* fresh({ pool: { keepalive: "4 seconds" } })
      const counter = Metric.tagged(Pg.reconnects, "db.client.connection.pool.name", "default")
      const before = (yield* Metric.value(counter)).count
      const { queue } = yield* collect(sql.listen("a"))
      const heard = eventually(
        Effect.zipRight(Effect.orDie(sql.notify("a", "x")), queue.size),
        (size) => size > 0
      )
      yield* heard
      const [{ pid }] = (yield* listening) as [any]
      const [link] = proxy.connections().slice(-1)
      link!.hold()
      yield* TestClock.adjust("3 seconds")
      // It is asked now; what is sent is lost.
      yield* TestClock.adjust("1 seconds")
      yield* eventually(listening, (rows) => rows.some((row) => row["pid"] !== pid))
      yield* eventually(Effect.map(Metric.value(counter), ({ count }) => count), (count) => count === before + 1)
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0]!, "Notifications sent meanwhile do not arrive")
      yield* queue.takeAll
      yield* heard
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.scoped("a stream ends with Closed, after what has arrived, when the layer closes; also one that still connects", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { proxy, sql } = yield* Scope.extend(fresh(), scope)
      const arrived: Array<string> = []
      const open = yield* Effect.fork(
        Effect.flip(Stream.runForEach(sql.listen("a"), (payload) => Effect.sync(() => arrived.push(payload))))
      )
      yield* eventually(
        Effect.zipRight(Effect.orDie(sql.notify("a", "x")), Effect.sync(() => arrived.length)),
        (count) => count > 0
      )
      // LISTEN for another channel gets no answer.
      proxy.blackHole()
      const waiting = yield* Effect.fork(Effect.flip(Stream.runDrain(sql.listen("b"))))
      yield* Effect.yieldNow()
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      for (const fiber of [open, waiting]) {
        const error = fromSqlError(yield* Fiber.join(fiber), "default")
        assert.include(error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
        assert.include(error.message, "its layer was closed")
      }
      yield* Effect.zipRight(Effect.yieldNow(), TestClock.adjust("20 seconds"))
      yield* Fiber.join(closing)
      const late = fromSqlError(yield* Effect.flip(Stream.runDrain(sql.listen("a"))), "default")
      assert.strictEqual(late.reason, "Closed")
    }))

  it.scoped("attempts to listen again go on, ever slower, until the server is back", () =>
    Effect.gen(function*() {
      const { proxy, sql } = yield* fresh()
      const one = yield* collect(sql.listen("a"))
      const heard = eventually(
        Effect.zipRight(Effect.ignore(sql.notify("a", "x")), one.queue.size),
        (size) => size > 0
      )
      yield* heard
      const [link] = proxy.connections().slice(-1)
      yield* proxy.refuse
      link!.cut()
      for (let i = 0; i < 20; i++) yield* TestClock.adjust("1 seconds")
      yield* proxy.accept
      yield* one.queue.takeAll
      yield* eventually(
        Effect.zipRight(
          TestClock.adjust("10 seconds"),
          Effect.zipRight(Effect.ignore(sql.notify("a", "y")), one.queue.size)
        ),
        (size) => size > 0
      )
    }))

  it.scoped("a first connection that fails is the stream's typed failure; a bad name is refused", () =>
    Effect.gen(function*() {
      const { proxy, sql } = yield* fresh()
      yield* proxy.refuse
      const error = yield* Effect.flip(Stream.runDrain(sql.listen("a")))
      assert.instanceOf(error, SqlError)
      assert.strictEqual(fromSqlError(error, "default").reason, "Refused")
      yield* proxy.accept
      for (const name of ["", "x".repeat(64), "a\0b"]) {
        const refused = yield* Effect.flip(Stream.runDrain(sql.listen(name)))
        assert.strictEqual(fromSqlError(refused, "default").reason, "Parameter")
      }
      assert.strictEqual(
        fromSqlError(yield* Effect.flip(sql.notify("x".repeat(64), "")), "default").reason,
        "DataError"
      )
    }))

  it.scoped("interrupting a listener that still connects leaves nothing behind", () =>
    Effect.gen(function*() {
      const { listening, proxy, sql } = yield* fresh()
      proxy.blackHole()
      const { fiber } = yield* collect(sql.listen("a"))
      yield* eventually(Effect.sync(() => proxy.connections().length), (count) => count === 2)
      yield* Fiber.interrupt(fiber)
      proxy.heal()
      yield* eventually(listening, (rows) => rows.length === 0)
      yield* eventually(Effect.sync(() => proxy.connections().length), (count) => count === 1)
    }))
})
