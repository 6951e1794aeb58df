/** Limits on SQLite: kept in processes of its own, refused where they cannot be. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { Database } from "../kit/sqlite.js"
import { limits } from "../suites/limits.js"
import { isWhole } from "../suites/sessions.js"
import type { Target } from "../suites/target.js"
import { took } from "./onPostgres.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "dblive-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

const endless = "WITH RECURSIVE s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s) SELECT count(*) AS n FROM s"

const onFile = <A, E>(options: DbConfig.Options, body: Effect.Effect<A, E, Db>) =>
  Effect.flatMap(folder, (folder) =>
    Effect.provide(
      body,
      Db.layer({
        type: "sqlite",
        filename: `${folder}/test.db`,
        environment: "production",
        ...options
      })
    ))

describe("a stream in this process", () => {
  it.scopedLive("leaves the event loop to others once in a while", () =>
    onFile(
      {},
      Effect.gen(function*() {
        const sql = yield* Db.sql
        const many = sql<
          { x: number }
        >`WITH RECURSIVE s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s) SELECT x FROM s`
        const [millis, error] = yield* took(
          many.stream.pipe(
            Stream.take(5_000_000),
            Stream.runDrain,
            Db.transaction({ timeout: "200 millis" }),
            Effect.flip
          )
        )
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Transaction", outcome: "RolledBack" })
        // Alone it reads for several seconds.
        assert.isBelow(millis, 1_500)
        yield* isWhole
      })
    ))
})

describe("a statement in this process that waits for another program's lock", () => {
  it.scopedLive("ends its fiber when it is interrupted, whatever would follow it", () =>
    Effect.flatMap(folder, (folder) =>
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        const other = yield* Effect.acquireRelease(
          Effect.sync(() => new Database(`${folder}/test.db`)),
          (other) => Effect.sync(() => other.close())
        )
        other.exec("BEGIN IMMEDIATE")
        let wentOn = false
        const fiber = yield* Db.query("INSERT INTO t VALUES (1)").pipe(
          Effect.exit,
          Effect.tap(Effect.sync(() => {
            wentOn = true
          })),
          Effect.fork
        )
        // It waits with the first turn that it is given.
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        assert.isFalse(wentOn)
        other.exec("ROLLBACK")
        assert.deepStrictEqual(yield* Db.query("SELECT count(*) AS n FROM t"), [{ n: 0 }])
        yield* isWhole
      }).pipe(Effect.provide(Db.layer({ type: "sqlite", filename: `${folder}/test.db`, environment: "production" })))))
})

const elsewhere: Target = {
  name: "sqlite, in processes of its own",
  describe,
  fresh: Effect.map(folder, (folder) => ({
    type: "sqlite" as const,
    filename: `${folder}/test.db`,
    workers: 3
  })),
  sql: {
    id: "INTEGER PRIMARY KEY",
    text: "TEXT",
    bigint: "INTEGER",
    series: (n) => `SELECT value AS x FROM generate_series(1, ${n})`,
    endless,
    sessionState: [],
    deferred: undefined
  },
  connections: undefined
}

describe(elsewhere.name, () => {
  limits(elsewhere)

  it.scopedLive("the event loop stays responsive while a heavy query runs", () =>
    onFile(
      { workers: 1 },
      Effect.gen(function*() {
        yield* Db.query("SELECT 1 AS one")
        const heavy = yield* Effect.fork(Effect.flip(Db.query(endless, [], { timeout: "500 millis" })))
        let ticks = 0
        const ticker = yield* Effect.fork(Effect.forever(Effect.zipRight(Effect.sleep(5), Effect.sync(() => ticks++))))
        assert.deepInclude(yield* Fiber.join(heavy), { _tag: "TimeoutError", phase: "Statement", limitMillis: 500 })
        yield* Fiber.interrupt(ticker)
        // 100 at best; in this process it would be none.
        assert.isAbove(ticks, 20)
        yield* isWhole
      })
    ))

  it.scopedLive("a configured limit is kept, and readers beside a stopped one are not disturbed", () =>
    onFile(
      { workers: 3, limits: { statementTimeout: "400 millis" } },
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        const [runaway, answers] = yield* Effect.all([
          Effect.flip(Db.query(endless)),
          Effect.forEach(Array.from({ length: 200 }, (_, i) => i), (i) => Db.query("SELECT :i AS i", { i }), {
            concurrency: 4
          })
        ], { concurrency: 2 })
        assert.deepInclude(runaway, { _tag: "TimeoutError", phase: "Statement", limitMillis: 400 })
        assert.deepStrictEqual(answers.map(([row]) => Number(row!["i"])), Array.from({ length: 200 }, (_, i) => i))
        yield* isWhole
      })
    ))
})

describe("sqlite in this process", () => {
  for (const filename of [":memory:", "file"]) {
    it.scopedLive(`refuses a statement limit when its layer is built, and names the mode that keeps it (${filename})`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          onFile(
            { limits: { statementTimeout: "1 second" }, ...(filename === "file" ? {} : { filename }) },
            Db.ping
          )
        )
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
        assert.include(String(error), "workers")
      }))
  }

  it.scopedLive("lock: a writer waits for another without stopping the event loop, and no longer than its limit", () =>
    onFile(
      { limits: { lockTimeout: "200 millis" } },
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        const insert = Db.query("INSERT INTO t (body) VALUES ('a')")
        const written = yield* Deferred.make<void>()
        const writer = yield* Effect.fork(
          insert.pipe(
            Effect.zipRight(Deferred.succeed(written, undefined)),
            Effect.zipRight(Effect.never),
            Effect.withSpan("the writer"),
            Db.transaction
          )
        )
        yield* Deferred.await(written)
        for (const write of [insert, Db.session(insert), insert.pipe(Db.transaction)]) {
          const [millis, error] = yield* took(Effect.flip(write))
          assert.deepInclude(error, { _tag: "TimeoutError", phase: "Lock", limitMillis: 200, outcome: "NotSent" })
          assert.isTrue(millis > 190 && millis < 1000, `${millis}`)
          const sooner = yield* Effect.flip(write.pipe(Db.withTimeout("50 millis")))
          assert.deepInclude(sooner, { _tag: "TimeoutError", phase: "Lock", limitMillis: 50, outcome: "NotSent" })
        }
        yield* Fiber.interrupt(writer)
        yield* insert
        yield* isWhole
      })
    ))

  it.scopedLive("close: a session that waits for the write lock of one that never ends is cut with it", () =>
    Effect.gen(function*() {
      const [millis, [waiting, single]] = yield* took(onFile(
        { pool: { closeTimeout: "100 millis" } },
        Effect.gen(function*() {
          yield* Db.query("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
          const insert = Db.query("INSERT INTO t (body) VALUES ('a')")
          const written = yield* Deferred.make<void>()
          yield* Effect.forkDaemon(
            insert.pipe(
              Effect.zipRight(Deferred.succeed(written, undefined)),
              Effect.zipRight(Effect.sleep("1 minute")),
              Db.transaction
            )
          )
          yield* Deferred.await(written)
          const waiting = yield* Effect.forkDaemon(Effect.flip(Db.session(insert)))
          const single = yield* Effect.forkDaemon(Effect.flip(insert))
          yield* Effect.sleep(10)
          return [waiting, single] as const
        })
      ))
      assert.isBelow(millis, 3000)
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "TimeoutError", phase: "Close", outcome: "NotSent" })
      assert.deepInclude(yield* Fiber.join(single), { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
    }))
})
