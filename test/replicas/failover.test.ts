/**
 * A database with a replica, whose primary is killed and whose replica takes its place, under load: reads show what their fiber has
 * written all the while, and what was acknowledged is there, once. Short selects share connections meanwhile.
 */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { Db, type DbError } from "../../src/index.js"
import { makePair, promote, synchronous, urlOf } from "../kit/cluster.js"
import { describePrivatePostgres, eventually, query } from "../kit/postgres.js"
import { isWhole } from "../suites/sessions.js"

const fibers = 20

/** What one fiber knows of its counter. */
interface Known {
  /** The last value that was acknowledged or shown. */
  seen: number
  acknowledged: number
  unknown: number
  reads: number
  readonly errors: Array<DbError.DbError>
}

const add = (id: number) =>
  Db.transaction(Db.scalar<number>("UPDATE counter SET n = n + 1 WHERE id = :id RETURNING n", { id }))

const select = (id: number) => Db.scalar<number>("SELECT n FROM counter WHERE id = :id", { id })

/** Writes and reads: on a replica, and beside others on a shared connection. */
const step = (id: number, known: Known) =>
  Effect.gen(function*() {
    const written = yield* Effect.either(add(id))
    if (Either.isRight(written)) {
      known.acknowledged++
      known.seen = Math.max(known.seen, written.right)
    } else {
      known.errors.push(written.left)
      if (written.left.outcome === "Unknown") known.unknown++
    }
    for (const read of [Db.read(select(id)), select(id)]) {
      const before = known.seen
      const shown = yield* Effect.either(read)
      if (Either.isRight(shown)) {
        known.reads++
        assert.isAtLeast(shown.right, before, `counter ${id}`)
        known.seen = shown.right
      } else {
        known.errors.push(shown.left)
      }
    }
  })

describePrivatePostgres("a replica that takes the place of the primary", () => {
  it.scopedLive("under load: no read is stale, and nothing is lost or doubled", () =>
    Effect.gen(function*() {
      const pair = yield* makePair
      const { primary, standby } = pair
      yield* query(primary.server.url, "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)")
      yield* query(primary.server.url, `INSERT INTO counter SELECT n, 0 FROM generate_series(1, ${fibers}) AS n`)
      yield* synchronous(pair)
      // What is written is not shown there at once.
      yield* query(standby.server.url, "ALTER SYSTEM SET recovery_min_apply_delay = '30ms'")
      yield* query(standby.server.url, "SELECT pg_reload_conf()")
      yield* Effect.gen(function*() {
        const all = Array.from({ length: fibers }, (): Known => ({
          seen: 0,
          acknowledged: 0,
          unknown: 0,
          reads: 0,
          errors: []
        }))
        const stop = yield* Deferred.make<void>()
        const running = yield* Effect.forkScoped(
          Effect.forEach(
            all,
            (known, at) => Effect.repeat(step(at + 1, known), { until: () => Deferred.isDone(stop) }),
            {
              concurrency: "unbounded",
              discard: true
            }
          )
        )
        const acknowledged = Effect.sync(() => all.map(({ acknowledged }) => acknowledged))
        /** Each fiber has written so often more. */
        const further = (by: number) =>
          Effect.flatMap(
            acknowledged,
            (before) => eventually(acknowledged, (now) => now.every((count, at) => count >= before[at]! + by), 30_000)
          )
        yield* further(20)
        yield* primary.server.stop("kill")
        yield* promote(standby)
        yield* further(20)
        yield* Deferred.succeed(stop, undefined)
        yield* Fiber.join(running)
        for (const error of all.flatMap(({ errors }) => errors)) {
          assert.isTrue(error.isTransient || error.outcome === "Unknown", error.message)
        }
        const rows = yield* query(standby.server.url, "SELECT id, n FROM counter ORDER BY id")
        rows.forEach(({ n }, at) => {
          const { acknowledged, unknown } = all[at]!
          assert.isAtLeast(Number(n), acknowledged, `counter ${at + 1}`)
          assert.isAtMost(Number(n), acknowledged + unknown, `counter ${at + 1}`)
        })
        assert.isAbove(all.reduce((sum, { reads }) => sum + reads, 0), 20 * fibers)
        // It is no replica any more.
        yield* eventually(
          Effect.zipRight(Db.read(select(1)), Db.info),
          ({ replicas }) => replicas[0]?.leftOut?.reason === "not a standby",
          15_000
        )
        yield* isWhole
      }).pipe(Effect.provide(Db.layer({
        url: urlOf([primary, standby]),
        replicas: [{ url: urlOf([standby], "") }],
        environment: "production",
        ssl: "disable",
        pool: { size: 6, overflow: 0, keepalive: 0, acquireTimeout: "20 seconds" }
      })))
    }), 120_000)
})
