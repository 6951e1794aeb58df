/** Contract 8: nothing that begins after the server is back fails, and a dead connection is never used. */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { Db } from "../../src/Db.js"
import { describePostgres, describePrivatePostgres, eventually, observer, PrivatePostgres } from "../kit/postgres.js"
import { isWhole } from "../suites/sessions.js"
import { onPostgres, took } from "./onPostgres.js"

/** Opens this many connections, and lets them be idle. */
const warm = (count: number) =>
  Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    let here = 0
    yield* Effect.forEach(Array.from({ length: count }), () =>
      Db.session(Effect.suspend(() => {
        here++
        return here === count ? Deferred.succeed(gate, undefined) : Deferred.await(gate)
      })), { concurrency: "unbounded" })
  })

/** Sessions of every kind, many at once: none may fail. */
const burst = (count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    (_, i) =>
      i % 3 === 0
        ? Db.query("SELECT 1 AS one")
        : i % 3 === 1
        ? Db.session(Db.query("SELECT 1 AS one"))
        : Db.query("SELECT 1 AS one").pipe(Db.transaction),
    { concurrency: "unbounded" }
  )

describePostgres("dead idle connections", () => {
  it.scopedLive("ended by the server in a burst: none of the next sessions fails", () =>
    onPostgres({ pool: { size: 10, validateAfter: "1 hour" } }, (server) =>
      Effect.gen(function*() {
        for (let round = 0; round < 5; round++) {
          yield* warm(10)
          yield* server.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dblive test' " +
              "AND datname = current_database()"
          )
          yield* eventually(server.connections, (n) => n === 0)
          assert.lengthOf(yield* burst(30), 30)
        }
        yield* isWhole
      })))

  it.scopedLive("cut by the network silently: validated before they are used", () =>
    onPostgres({ pool: { size: 5, validateAfter: 0 } }, (server) =>
      Effect.gen(function*() {
        for (let round = 0; round < 5; round++) {
          yield* warm(5)
          server.proxy.cutAll()
          assert.lengthOf(yield* burst(15), 15)
        }
        yield* isWhole
      }), "proxied"))

  it.scopedLive("one that was lost in use makes the others be validated", () =>
    onPostgres({ pool: { size: 5, validateAfter: "1 hour" } }, (server) =>
      Effect.gen(function*() {
        yield* warm(5)
        // Silent, not closed: nothing tells us that they are gone. The one in use is found out by its limit.
        for (const link of server.proxy.connections()) link.hold()
        const error = yield* Effect.flip(Db.query("SELECT 1", [], { timeout: "100 millis" }))
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Statement" })
        server.proxy.heal()
        for (const link of server.proxy.connections()) link.cut()
        assert.lengthOf(yield* burst(15), 15)
      }), "proxied"))
})

describePrivatePostgres("a server that restarts", () => {
  it.scopedLive(
    "crash and orderly restart: no session fails that begins when it accepts connections again",
    () =>
      Effect.gen(function*() {
        const server = yield* PrivatePostgres.make({ tls: false })
        yield* Effect.gen(function*() {
          for (const mode of ["immediate", "fast"] as const) {
            yield* warm(6)
            const running = yield* Effect.fork(Effect.either(Db.query("SELECT pg_sleep(3600)")))
            yield* Effect.scoped(Effect.flatMap(observer(server.url), (ask) =>
              eventually(
                ask("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
                (rows) => rows.length === 1
              )))
            yield* server.stop(mode)
            const lost = yield* Fiber.join(running)
            assert(Either.isLeft(lost))
            assert.deepInclude(lost.left, { _tag: "ConnectionError" })
            assert.isFalse(yield* Db.ping)
            // It waits for the server within its limit, and is served as soon as that is back.
            const early = yield* Effect.fork(Db.query("SELECT 1 AS one"))
            yield* server.start
            const [millis] = yield* took(burst(30))
            assert.isBelow(millis, 3000)
            assert.lengthOf(yield* Fiber.join(early), 1)
            assert.isTrue(yield* Db.ping)
          }
          yield* isWhole
        }).pipe(
          Effect.provide(
            Db.layer({ url: server.url, environment: "production", pool: { size: 6, overflow: 0, keepalive: 0 } })
          )
        )
      }),
    60_000
  )
})
