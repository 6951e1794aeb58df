/** A server that stops answering, at every point of a session's life: it ends within limits, leaks nothing, and heals. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { describe } from "vitest"
import { Db } from "../../src/Db.js"
import { DbError } from "../../src/DbError.js"
import { HeldClock } from "../kit/heldClock.js"
import { describePostgres, eventually } from "../kit/postgres.js"
import { afterStatement, beforeMessage, beforeStatement, type Point } from "../kit/proxy.js"
import { isWhole } from "../suites/sessions.js"
import { optionsFor, pause, type Server, took, withServer } from "./onPostgres.js"

const insert = Db.query("INSERT INTO t VALUES (1)")

interface Case {
  /** Where the network goes silent; by itself where this is missing. */
  readonly at?: () => Point
  readonly run: (server: Server, time: HeldClock) => Effect.Effect<unknown, unknown, Db>
  /** What it ends with: an error of ours, by tag and reason; else as it is. */
  readonly ends: ReadonlyArray<string>
}

const acquires = ["TimeoutError.Acquire", "TimeoutError.Connect"]
const statement = ["TimeoutError.Statement"]

/** The n-th time that the server is told to run a statement. */
const nth = (pattern: RegExp, n: number) => (): Point => {
  let count = 0
  return beforeMessage(
    "frontend",
    ({ statements, type }) => type === "E" && statements.some((text) => pattern.test(text)) && ++count === n
  )
}

const cases: Readonly<Record<string, Case>> = {
  "opening": {
    run: (server, time) =>
      Effect.suspend(() => {
        server.proxy.cutAll()
        server.proxy.blackHole()
        return time.run().pipe(Effect.zipRight(Effect.sleep(20)), Effect.zipRight(insert))
      }),
    ends: acquires
  },
  "validating": {
    run: (server, time) =>
      Effect.suspend(() => {
        server.proxy.blackHole()
        return time.run().pipe(Effect.zipRight(Effect.sleep(60)), Effect.zipRight(insert))
      }),
    ends: acquires
  },
  "a statement": { at: () => beforeStatement(/^INSERT/), run: () => insert, ends: statement },
  "a statement's answer": { at: () => afterStatement(/^INSERT/), run: () => Db.session(insert), ends: statement },
  "BEGIN with its first statement": {
    at: () => beforeStatement(/^BEGIN/),
    run: () => insert.pipe(Db.transaction),
    ends: statement
  },
  "BEGIN by hand": {
    at: () => beforeStatement(/^BEGIN/),
    run: () => Effect.scoped(Effect.flatMap(Db.reserve, (session) => session.begin())),
    ends: statement
  },
  "SAVEPOINT": {
    at: () => beforeStatement(/^SAVEPOINT/),
    run: () => insert.pipe(Db.transaction, Db.transaction),
    ends: statement
  },
  "a later fetch of a stream": {
    at: nth(/generate_series/, 3),
    run: () =>
      Stream.runDrain(
        Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT * FROM generate_series(1, 9000)`.stream))
      ).pipe(Db.transaction),
    ends: statement
  },
  "closing a stream": {
    at: nth(/generate_series/, 2),
    run: () =>
      Stream.runDrain(
        Stream.take(
          Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT * FROM generate_series(1, 9000)`.stream)),
          600
        )
      ).pipe(Db.transaction),
    ends: statement
  },
  "COMMIT": {
    at: () => beforeStatement(/^COMMIT/),
    run: () => insert.pipe(Db.transaction),
    ends: ["QueryError.CommitUnknown"]
  },
  "COMMIT's answer": {
    at: () => afterStatement(/^COMMIT/),
    run: () => insert.pipe(Db.transaction),
    ends: ["QueryError.CommitUnknown"]
  },
  "COMMIT's answer, and the question for it": {
    at: () => afterStatement(/^COMMIT/),
    run: () => insert.pipe(Db.transaction({ resolveCommit: true })),
    ends: ["QueryError.CommitUnknown"]
  },
  "ROLLBACK": {
    at: () => beforeStatement(/^ROLLBACK/),
    run: () => insert.pipe(Effect.zipRight(Effect.fail("no")), Db.transaction),
    ends: ["no"]
  },
  "an interrupt": {
    at: () => afterStatement(/pg_sleep/),
    run: () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Db.query("SELECT pg_sleep(9)", [], { timeout: 0 }))
        yield* pause(200)
        const [millis, exit] = yield* took(Fiber.interrupt(fiber))
        assert.isTrue(Exit.isInterrupted(exit))
        assert.isBelow(millis, 3000)
        return yield* Effect.fail("interrupted")
      }),
    ends: ["interrupted"]
  },
  "cleaning": {
    at: () => beforeStatement(/DISCARD|UNLISTEN/),
    run: () => Effect.zipRight(Db.query("SET search_path TO nowhere"), insert),
    ends: acquires
  }
}

describePostgres("a server that stops answering", () => {
  describe.concurrent("at", () => {
    for (const [what, { at, ends, run }] of Object.entries(cases)) {
      it.scopedLive(`${what}: ends with ${ends.join(" or ")}, heals, and leaks nothing`, () =>
        Effect.gen(function*() {
          const server = yield* withServer
          yield* server.ask("CREATE TABLE t (id int)")
          // What a healthy server takes its time for is nothing to these limits.
          const time = new HeldClock()
          yield* Effect.gen(function*() {
            yield* Db.query("SELECT 1")
            if (at !== undefined) {
              const { fired } = server.proxy.at(at(), "blackHole")
              yield* Effect.fork(Effect.zipRight(fired, time.run()))
            }
            const [millis, error] = yield* time.took(Effect.flip(run(server, time)))
            assert.include(ends, Schema.is(DbError)(error) ? `${error._tag}.${error.reason}` : error, String(error))
            // The limit of the statement, two seconds for its cancel; and the same for the ROLLBACK behind it.
            assert.isBelow(millis, 6000)
            server.proxy.heal()
            // To connect anew has the time that its limit leaves, and that is short: four times as much of the machine's.
            yield* time.run(0.25)
            const [back] = yield* time.took(Effect.retry(Db.query("SELECT 1"), { times: 2 }))
            assert.isBelow(back, 4000)
            yield* time.hold
            yield* isWhole
            yield* time.run()
          }).pipe(
            Effect.provide(Db.layer(optionsFor(server, {
              pool: {
                size: 1,
                connectTimeout: "400 millis",
                acquireTimeout: "1200 millis",
                validateAfter: "50 millis",
                closeTimeout: "500 millis"
              },
              limits: { statementTimeout: "300 millis" }
            }, "proxied"))),
            Effect.withClock(time)
          )
          yield* eventually(server.connections, (n) => n === 0)
        }))
    }

    it.scopedLive("closing, idle and in the middle of things: the layer ends in time", () =>
      Effect.gen(function*() {
        const server = yield* withServer
        let silentSince = 0
        const running = yield* Effect.gen(function*() {
          yield* Effect.forEach([1, 2, 3], () => Db.query("SELECT pg_sleep(0.05)"), { concurrency: 3 })
          const running = yield* Effect.forkDaemon(Effect.flip(Db.query("SELECT pg_sleep(3600)")))
          const idle = yield* Effect.forkDaemon(
            Effect.exit(Db.query("SELECT 1").pipe(Effect.zipRight(Effect.sleep("1 second")), Db.transaction))
          )
          yield* pause(100)
          server.proxy.blackHole()
          silentSince = performance.now()
          return [running, idle] as const
        }).pipe(
          Effect.provide(Db.layer(optionsFor(server, { pool: { size: 3, closeTimeout: "500 millis" } }, "proxied")))
        )
        assert.isBelow(performance.now() - silentSince, 4000)
        assert.deepInclude(yield* Fiber.join(running[0]), { _tag: "TimeoutError", phase: "Close" })
        assert.isTrue(Exit.isFailure(yield* Fiber.join(running[1])))
        server.proxy.heal()
        yield* eventually(server.connections, (n) => n === 0)
      }))
  })
})
