/**
 * Reads of several fibers of one session that are sent together, on a real server: how they travel, and what becomes of each when one
 * of them fails, is stopped, or outlives its transaction.
 */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import type * as DbConfig from "../../src/DbConfig.js"
import { Db, type DbError } from "../../src/index.js"
import { describePostgres, freshDatabase, observer, query } from "../kit/postgres.js"
import { afterBytes, makeProxy } from "../kit/proxy.js"
import { writesTo } from "../kit/writesTo.js"

/** Counts to a number: as quick or as slow as it is. */
const count = (to: number) => Db.scalar<string>("SELECT count(*) FROM generate_series(1, :to::bigint) AS made", { to })

/** Half a second or more on every machine, and not for ever. */
const slow = 4_000_000

/** A minute and more on every machine. */
const endless = 1_000_000_000

/** Measures that an effect takes nothing like what is endless. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Effect.timed(effect),
    ([took, value]) => Effect.as(Effect.sync(() => assert.isBelow(Duration.toMillis(took), 10_000)), value)
  )

const divide = (by: number) => Db.scalar<number>("SELECT 12 / :by::int", { by })

const all = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.all(effects, { concurrency: "unbounded" })

const many = Array.from({ length: 20 }, (_, i) => i + 1)

/** Each text is prepared once before it can be sent ahead. */
const warm = Effect.zipRight(count(1), divide(1))

/** Runs an effect in a session of a database with one connection and a table, opened through a proxy. */
const within = <A, E>(
  body: (
    proxy: Effect.Effect.Success<ReturnType<typeof makeProxy>>,
    url: string
  ) => Effect.Effect<A, E, Db | Scope.Scope>,
  options: DbConfig.Options = {}
) =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const ask = yield* observer(database.url)
    yield* ask("CREATE TABLE note (id int)")
    const proxy = yield* makeProxy({ host: database.host, port: database.port })
    return yield* Effect.provide(
      Effect.zipRight(Db.session(warm), body(proxy, database.url)),
      Db.layer({
        url: proxy.url(database.url),
        ssl: "disable",
        environment: "production",
        ...options,
        pool: { size: 1, overflow: 0, ...options.pool }
      })
    )
  })

const portOf = (proxy: Effect.Effect.Success<ReturnType<typeof makeProxy>>) =>
  Number(new URL(proxy.url("postgres://user@host/db")).port)

const modes = [
  ["a session", <A, E, R>(effect: Effect.Effect<A, E, R>) => Db.session(effect)],
  ["a transaction", <A, E, R>(effect: Effect.Effect<A, E, R>) => Db.transaction(effect)]
] as const

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
const makeRandom = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6D2B79F5) | 0
    const mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    const more = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((more ^ (more >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What one fiber does. */
interface Step {
  readonly kind: "read" | "gone" | "fails" | "write" | "nested"
  readonly to: number
  /** After how many turns of the event loop it is interrupted. */
  readonly turns: number
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("read", "read", "read", "gone", "gone", "fails", "write", "nested"),
  to: fc.integer({ min: 1, max: 60_000 }),
  turns: fc.integer({ min: 0, max: 6 })
})

const insert = (id: number) => Db.query("INSERT INTO note VALUES (:id)", { id })

const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** In a transaction a statement that fails, or that runs alone and is interrupted, takes it along: none does there. */
const taken = ({ kind, to, turns }: Step, mayFail: boolean): Effect.Effect<unknown, DbError.DbError, Db> => {
  switch (kind) {
    case "write":
      return insert(to)
    case "nested":
      return Db.transaction(Effect.zipRight(count(to), insert(to)))
    case "fails":
      return mayFail
        ? Effect.match(divide(0), {
          onSuccess: (n) => assert.fail(`12 / 0 is ${n}`),
          onFailure: (error) => assert.deepInclude(error, { _tag: "QueryError", code: "22012" })
        })
        : Effect.map(divide(3), (n) => assert.strictEqual(n, 4))
    default: {
      const read = Effect.map(count(to), (n) => assert.strictEqual(n, String(to)))
      return kind === "read" || !mayFail
        ? read
        : Effect.flatMap(
          Effect.fork(read),
          (fiber) => Effect.zipRight(Effect.repeatN(turn, turns), Fiber.interrupt(fiber))
        )
    }
  }
}

describePostgres("reads of several fibers of one session", () => {
  for (const [name, run] of modes) {
    it.scopedLive(`travel together in ${name}, and each has its own answer`, () =>
      within((proxy) =>
        Effect.gen(function*() {
          yield* run(Effect.gen(function*() {
            yield* warm
            const written = yield* writesTo(portOf(proxy))
            assert.deepStrictEqual(yield* all(many.map(count)), many.map(String))
            // The first is alone when it comes.
            assert.strictEqual(written(), 2)
          }))
        })
      ))

    it.scopedLive(`travel one by one in ${name} where connections are not shared`, () =>
      within((proxy) =>
        run(Effect.gen(function*() {
          yield* warm
          const written = yield* writesTo(portOf(proxy))
          assert.deepStrictEqual(yield* all(many.map(count)), many.map(String))
          assert.strictEqual(written(), 20)
        })), { pool: { sharing: "off" } }))

    it.scopedLive(`fail in ${name} as they do one by one`, () =>
      Effect.gen(function*() {
        const failing = () =>
          run(Effect.zipRight(
            warm,
            all([1, 2, 0, 3, 4].map((by) => Effect.exit(divide(by))))
          )).pipe(
            Effect.map((exits) =>
              exits.map(Exit.match({
                onSuccess: (value): unknown => value,
                onFailure: (cause) => {
                  const error = Option.getOrThrow(Cause.failureOption(cause))
                  return [error._tag, error.reason, error.outcome, error.code]
                }
              }))
            ),
            Effect.catchAll((error) => Effect.succeed([error._tag, error.reason, error.outcome]))
          )
        const together = yield* within(failing)
        assert.deepStrictEqual(together, yield* within(failing, { pool: { sharing: "off" } }))
      }))
  }

  it.scopedLive("a slow one that is interrupted with others behind it is not stopped, and the transaction goes on", () =>
    within((_, url) =>
      Effect.gen(function*() {
        const ended: Array<string> = []
        yield* Db.transaction(Effect.gen(function*() {
          yield* warm
          const first = yield* Effect.fork(count(1))
          const head = yield* Effect.fork(count(slow))
          const behind = yield* Effect.fork(Effect.tap(count(3), () => Effect.sync(() => ended.push("behind"))))
          assert.strictEqual(yield* Fiber.join(first), "1")
          yield* Fiber.interrupt(head)
          ended.push("interrupted")
          assert.strictEqual(yield* Fiber.join(behind), "3")
          yield* Db.query("INSERT INTO note VALUES (1)")
        }))
        assert.deepStrictEqual(ended, ["interrupted", "behind"])
        assert.lengthOf(yield* query(url, "SELECT FROM note"), 1)
      })
    ))

  it.scopedLive("one behind another is let go at once, and the next statement waits for its answer", () =>
    within((_, url) =>
      Effect.gen(function*() {
        yield* Db.transaction(Effect.gen(function*() {
          yield* warm
          const first = yield* Effect.fork(count(1))
          const head = yield* Effect.fork(count(2))
          const behind = yield* Effect.fork(count(slow))
          yield* Fiber.join(first)
          yield* Fiber.interrupt(behind)
          assert.strictEqual(yield* Fiber.join(head), "2")
          yield* Db.query("INSERT INTO note VALUES (1)")
        }))
        assert.lengthOf(yield* query(url, "SELECT FROM note"), 1)
      })
    ))

  it.scopedLive("outside of a transaction a slow one that is interrupted is stopped, and those behind it have their answers", () =>
    within(() =>
      soon(Db.session(Effect.gen(function*() {
        yield* warm
        const first = yield* Effect.fork(count(1))
        const head = yield* Effect.fork(count(endless))
        const behind = yield* Effect.fork(all(many.map(count)))
        yield* Fiber.join(first)
        yield* Fiber.interrupt(head)
        assert.deepStrictEqual(yield* Fiber.join(behind), many.map(String))
        assert.strictEqual(yield* count(5), "5")
      })))
    ))

  it.scopedLive("outside of a transaction one that reaches its limit is stopped, and those behind it have their answers", () =>
    within(() =>
      soon(Db.session(Effect.gen(function*() {
        yield* warm
        const first = yield* Effect.fork(count(1))
        const head = yield* Effect.fork(Effect.flip(Db.withTimeout(count(endless), "50 millis")))
        const behind = yield* Effect.fork(all([count(3), count(4)]))
        yield* Fiber.join(first)
        assert.deepInclude(yield* Fiber.join(head), { _tag: "TimeoutError", phase: "Statement", outcome: "Unknown" })
        assert.deepStrictEqual(yield* Fiber.join(behind), ["3", "4"])
      })))
    ))

  it.scopedLive("outside of a transaction a slow one that was let go does not keep the next statement waiting", () =>
    within((_, url) =>
      soon(Effect.gen(function*() {
        yield* Db.session(Effect.gen(function*() {
          yield* warm
          const first = yield* Effect.fork(count(1))
          const head = yield* Effect.fork(count(slow))
          const behind = yield* Effect.fork(count(endless))
          yield* Fiber.join(first)
          yield* Fiber.interrupt(behind)
          assert.strictEqual(yield* Fiber.join(head), String(slow))
          yield* insert(1)
        }))
        assert.lengthOf(yield* query(url, "SELECT FROM note"), 1)
      }))
    ))

  it.scopedLive("a transaction does not count as idle while one that was let go still runs", () =>
    within((_, url) =>
      Effect.gen(function*() {
        yield* Db.transaction(Effect.gen(function*() {
          yield* warm
          const first = yield* Effect.fork(count(1))
          const head = yield* Effect.fork(count(2))
          const behind = yield* Effect.fork(count(slow))
          yield* Fiber.join(first)
          yield* Fiber.interrupt(behind)
          yield* Fiber.join(head)
          yield* insert(1)
        }))
        assert.lengthOf(yield* query(url, "SELECT FROM note"), 1)
      }), { limits: { idleInTransactionTimeout: "50 millis" } }))

  for (const [name, run] of modes) {
    const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
    it.scopedLive(
      `500 interrupts of those before it leave the last one in ${name} as it is (DBLIVE_SEED=${seed})`,
      () =>
        within((_, url) =>
          Effect.gen(function*() {
            const random = makeRandom(seed)
            yield* run(Effect.gen(function*() {
              yield* warm
              for (let round = 1; round <= 50; round++) {
                yield* Effect.fork(count(1))
                // Some take long enough to be stopped where that may be.
                const gone = yield* Effect.forEach(
                  Array.from({ length: 10 }, () => random() < 0.05 ? 1_500_000 : Math.ceil(random() * 5_000)),
                  (to) => Effect.fork(count(to))
                )
                const kept = yield* Effect.fork(all([count(round), count(round + 1)]))
                yield* Effect.forEach(
                  gone,
                  (fiber) => Effect.zipRight(Effect.repeatN(turn, Math.floor(random() * 12)), Fiber.interrupt(fiber)),
                  { concurrency: "unbounded" }
                )
                assert.deepStrictEqual(yield* Fiber.join(kept), [String(round), String(round + 1)])
                yield* insert(round)
              }
            }))
            assert.lengthOf(yield* query(url, "SELECT FROM note"), 50)
          })
        ),
      60_000
    )
  }

  for (const sharing of ["reads", "off"] as const) {
    it.scopedLive(`one whose limit aborts the transaction is told as what failed first (sharing ${sharing})`, () =>
      within(() =>
        Effect.gen(function*() {
          const limited = Db.scalar<string>(
            "SELECT count(*) FROM generate_series(1, :to::bigint) AS made",
            { to: endless },
            { timeout: "50 millis" }
          )
          const failed = yield* Effect.flip(
            Db.transaction(all([count(1), limited, count(2)].map((read) => Effect.exit(read))))
          )
          const { cause } = failed as DbError.DbError
          assert.deepInclude(cause, { _tag: "TimeoutError", phase: "Statement", limitMillis: 50 })
        }), { pool: { sharing }, limits: { statementTimeout: 500 } }))
  }

  it.scopedLive("all of them that are interrupted are stopped on the server", () =>
    within(() =>
      Effect.gen(function*() {
        const started = performance.now()
        yield* Db.session(Effect.gen(function*() {
          yield* warm
          const first = yield* Effect.fork(count(1))
          const fiber = yield* Effect.fork(all([count(1_000_000_000), count(1_000_000_000), count(4)]))
          yield* Fiber.join(first)
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(yield* count(5), "5")
        }))
        // A minute and more, where they run to their end.
        assert.isBelow(performance.now() - started, 10_000)
      })
    ))

  it.scopedLive("a transaction that is rolled back stops what still runs of them", () =>
    within((_, url) =>
      Effect.gen(function*() {
        const started = performance.now()
        const exit = yield* Effect.exit(Db.transaction(Effect.gen(function*() {
          yield* warm
          yield* Db.query("INSERT INTO note VALUES (1)")
          return yield* all<unknown, DbError.DbError, Db>([count(1), divide(0), count(1_000_000_000), count(4)])
        })))
        assert.isTrue(Exit.isFailure(exit))
        assert.isBelow(performance.now() - started, 10_000)
        assert.lengthOf(yield* query(url, "SELECT FROM note"), 0)
        assert.strictEqual(yield* count(5), "5")
      })
    ))

  it.scopedLive("a deadline ends one that waits behind another, and no other", () =>
    within(() =>
      Db.session(Effect.gen(function*() {
        yield* warm
        const first = yield* Effect.fork(count(1))
        const head = yield* Effect.fork(count(slow))
        const behind = yield* Effect.fork(Effect.flip(Db.withTimeout(count(3), "50 millis")))
        const last = yield* Effect.fork(count(4))
        yield* Fiber.join(first)
        assert.deepInclude(yield* Fiber.join(behind), { _tag: "TimeoutError", phase: "Statement", outcome: "Unknown" })
        assert.strictEqual(yield* Fiber.join(head), String(slow))
        assert.strictEqual(yield* Fiber.join(last), "4")
      }))
    ))

  it.scopedLive("a link that breaks fails each of them, and none is said to be applied", () =>
    within((proxy) =>
      Effect.gen(function*() {
        const exits = yield* Db.session(Effect.gen(function*() {
          yield* warm
          const first = yield* Effect.fork(count(1))
          const rest = yield* Effect.fork(all([count(slow), count(3), count(4)].map((one) => Effect.flip(one))))
          yield* Fiber.join(first)
          proxy.cutAll()
          return yield* Fiber.join(rest)
        }))
        for (const error of exits) {
          assert.deepInclude(error, { _tag: "ConnectionError", reason: "Lost", isTransient: true })
        }
        assert.strictEqual(yield* count(5), "5")
      })
    ))

  it.scopedLive("other work of the session takes its turn between them", () =>
    within((_, url) =>
      Effect.gen(function*() {
        const rows = yield* Db.transaction(Effect.gen(function*() {
          yield* warm
          return yield* all<unknown, unknown, Db>([
            count(1),
            count(2),
            Db.query("INSERT INTO note VALUES (1)"),
            count(3),
            Db.transaction(
              all<unknown, DbError.DbError, Db>([count(4), Db.query("INSERT INTO note VALUES (2)"), count(5)])
            ),
            Db.batch([["INSERT INTO note VALUES (3)"], ["SELECT count(*) AS n FROM note"]]),
            Db.sql.pipe(Effect.flatMap((sql) => Stream.runCollect(sql`SELECT 7 AS n`.stream))),
            count(6),
            count(7)
          ])
        }))
        assert.deepStrictEqual(
          [0, 1, 3, 7, 8].map((i) => rows[i]),
          ["1", "2", "3", "6", "7"]
        )
        assert.lengthOf(yield* query(url, "SELECT FROM note"), 3)
      })
    ))

  it.scopedLive("what was asked for in a session that has ended is refused, and its connection serves the next", () =>
    within(() =>
      Effect.gen(function*() {
        const begun = yield* Deferred.make<void>()
        const outlived = yield* Db.session(Effect.gen(function*() {
          yield* warm
          const fibers = yield* Effect.forEach([1, slow, 3, 4], (to) => Effect.forkDaemon(Effect.exit(count(to))))
          yield* Fiber.join(fibers[0]!)
          yield* Deferred.succeed(begun, undefined)
          return fibers
        }))
        for (const fiber of outlived.slice(1)) {
          assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
        }
        assert.strictEqual(yield* count(5), "5")
      })
    ))

  it.scopedLive("a connection that fails in the middle of the answers gives each its own end", () =>
    within((proxy) =>
      Effect.gen(function*() {
        yield* Db.session(Effect.gen(function*() {
          yield* warm
          // Some of the answers pass.
          proxy.at(afterBytes("backend", 300), "cut")
          const exits = yield* all(many.map((to) => Effect.exit(count(to))))
          const passed = exits.filter(Exit.isSuccess)
          assert.isAbove(passed.length, 0)
          assert.isBelow(passed.length, exits.length)
          assert.deepStrictEqual(passed.map(({ value }) => value), many.slice(0, passed.length).map(String))
        }))
      })
    ))

  for (const [name, run] of modes) {
    const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
    it.scopedLive(
      `whatever fibers ask at once in ${name}, each has its answer, and what is written is written once (DBLIVE_SEED=${seed})`,
      () =>
        within((_, url) =>
          Effect.flatMap(Effect.runtime<Db>(), (runtime) =>
            Effect.promise(() =>
              fc.assert(
                fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), (steps) =>
                  Runtime.runPromise(runtime)(Effect.gen(function*() {
                    yield* query(url, "TRUNCATE note")
                    yield* run(Effect.zipRight(
                      warm,
                      all(steps.map((each) => taken(each, name === "a session")))
                    ))
                    const rows = yield* query(url, "SELECT id FROM note")
                    const sorted = (ids: ReadonlyArray<unknown>) => ids.map(Number).sort((a, b) => a - b)
                    assert.deepStrictEqual(
                      sorted(rows.map(({ id }) => id)),
                      sorted(steps.filter(({ kind }) => kind === "write" || kind === "nested").map(({ to }) => to))
                    )
                  }))),
                { seed, numRuns: 60 }
              )
            ))
        ),
      60_000
    )
  }
})
