/**
 * A primary that goes, and its standby that is promoted, under load: what was acknowledged is there, once, and what begins after the
 * promotion does not fail. `DBLIVE_FAILOVER_ROUNDS` sets the number of failovers (2).
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { randomUUID } from "node:crypto"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import { makePair, nextPair, type Pair, promote, synchronous, urlOf } from "../kit/cluster.js"
import { describePrivatePostgres, eventually, query } from "../kit/postgres.js"
import { isWhole } from "../suites/sessions.js"

const rounds = Number(process.env["DBLIVE_FAILOVER_ROUNDS"] ?? 2)

const accounts = 10
const fibers = 20

interface Transfer {
  readonly id: string
  readonly begun: number
  readonly ended: number
  /** It asks what became of a COMMIT. */
  readonly isAsked: boolean
  readonly result: Either.Either<void, DbError>
}

/** Moves money, or leaves it where it is. */
const transfer = (id: string, from: number, to: number, resolveCommit: boolean) =>
  Effect.gen(function*() {
    // In the order of their numbers: two that cross do not wait for each other.
    for (const account of [from, to].sort((a, b) => a - b)) {
      yield* Db.query("UPDATE account SET balance = balance + :sum WHERE id = :account", {
        account,
        sum: account === from ? -1 : 1
      })
    }
    yield* Db.query("INSERT INTO transfer VALUES (:id)", { id })
  }).pipe(Db.transaction({ resolveCommit }))

const setUp = (url: string) =>
  Effect.gen(function*() {
    yield* query(url, "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)")
    yield* query(url, `INSERT INTO account SELECT n, 1000 FROM generate_series(0, ${accounts - 1}) AS n`)
    yield* query(url, "CREATE TABLE transfer (id uuid NOT NULL)")
  })

/** How the primary goes. */
const ways = {
  "killed": ({ primary }: Pair) => primary.server.stop("kill"),
  "cut off from its clients": ({ primary }: Pair) => Effect.sync(() => primary.proxy.blackHole()),
  "shut down": ({ primary }: Pair) => primary.server.stop("fast")
} satisfies Record<string, (pair: Pair) => Effect.Effect<void>>

const failover = (pair: Pair, way: keyof typeof ways) =>
  Effect.gen(function*() {
    const { primary, standby } = pair
    yield* query(primary.server.url, "TRUNCATE transfer")
    yield* synchronous(pair)
    const done: Array<Transfer> = []
    let isOver = false
    const loop = (fiber: number): Effect.Effect<void, never, Db> =>
      Effect.suspend(() => {
        if (isOver) return Effect.void
        const id = randomUUID()
        const isAsked = fiber % 2 === 0
        const begun = performance.now()
        const from = Math.floor(Math.random() * accounts)
        const to = (from + 1 + Math.floor(Math.random() * (accounts - 1))) % accounts
        return Effect.zipRight(
          Effect.map(
            Effect.either(transfer(id, from, to, isAsked)),
            (result) => void done.push({ id, begun, ended: performance.now(), isAsked, result })
          ),
          Effect.suspend(() => loop(fiber))
        )
      })
    const successes = (since: number) =>
      done.filter(({ begun, result }) => begun > since && Either.isRight(result)).length
    return yield* Effect.gen(function*() {
      const load = yield* Effect.fork(
        Effect.forEach(Array.from({ length: fibers }), (_, i) => loop(i), { concurrency: "unbounded", discard: true })
      )
      yield* eventually(Effect.sync(() => successes(0)), (n) => n >= 200, 30_000)
      const gone = performance.now()
      yield* ways[way](pair)
      yield* promote(standby)
      const promoted = performance.now()
      yield* eventually(Effect.sync(() => successes(promoted)), (n) => n >= 200, 30_000)
      isOver = true
      yield* Fiber.join(load)
      yield* isWhole
      // The old one comes back, and is not used.
      if (way === "cut off from its clients") primary.proxy.heal()
      else yield* primary.server.start
      const ports = yield* Effect.forEach(Array.from({ length: 12 }), () =>
        Db.scalar<string>("SELECT current_setting('port')"), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(ports), new Set([String(standby.server.port)]))

      const rows = yield* query(standby.server.url, "SELECT id::text, count(*)::int AS n FROM transfer GROUP BY id")
      const applied = new Map(rows.map(({ id, n }) => [String(id), Number(n)]))
      assert.deepStrictEqual(
        [...applied].filter(([, n]) =>
          n !== 1
        ),
        [],
        "a transfer was applied twice"
      )
      const unknown = { asked: 0, notAsked: 0 }
      const late: Array<DbError> = []
      let resolved = 0
      for (const { begun, id, isAsked, result } of done) {
        if (Either.isRight(result)) {
          assert.isTrue(applied.has(id), `an acknowledged transfer is lost (${way})`)
          continue
        }
        const error = result.left
        if (begun > promoted) late.push(error)
        if (error.outcome === "Unknown") {
          unknown[isAsked ? "asked" : "notAsked"]++
        } else {
          resolved++
          assert.isFalse(applied.has(id), `${String(error)} (${error.outcome}), but it is applied (${way})`)
        }
      }
      assert.deepStrictEqual(late, [], "a transfer failed that began after the promotion")
      const [sum] = yield* query(standby.server.url, "SELECT sum(balance)::int AS n FROM account")
      assert.strictEqual(sum!["n"], accounts * 1000)
      const first = Math.min(
        ...done.flatMap(({ begun, ended, result }) =>
          begun > gone && ended > promoted && Either.isRight(result) ? [ended] : []
        )
      )
      return {
        way,
        acknowledged: done.filter(({ result }) => Either.isRight(result)).length,
        failed: resolved,
        unknown,
        promotion: Math.round(promoted - gone),
        firstSuccess: Math.round(first - promoted)
      }
    }).pipe(
      Effect.provide(Db.layer({
        url: urlOf([primary, standby]),
        environment: "production",
        ssl: "disable",
        limits: { statementTimeout: "1 second" },
        pool: { size: 10, overflow: 0, keepalive: 0, acquireTimeout: "20 seconds" }
      }))
    )
  })

describePrivatePostgres("a failover under load", () => {
  it.scopedLive(
    `${rounds} times: nothing acknowledged is lost, nothing is applied twice`,
    () =>
      Effect.gen(function*() {
        // Object.keys gives the names of the table above.
        const names = Object.keys(ways) as ReadonlyArray<keyof typeof ways>
        let pair = yield* makePair
        yield* setUp(pair.primary.server.url)
        const figures: Array<Effect.Effect.Success<ReturnType<typeof failover>>> = []
        for (let round = 0; round < rounds; round++) {
          if (round > 0) pair = yield* nextPair(pair)
          const figure = yield* failover(pair, names[round % names.length]!)
          yield* pair.primary.server.stop("kill")
          console.log(`failover ${round + 1}: ${JSON.stringify(figure)}`)
          figures.push(figure)
        }
        const times = figures.map(({ firstSuccess }) => firstSuccess).sort((a, b) => a - b)
        console.log(
          `failover: ${rounds} rounds, ${figures.reduce((sum, { acknowledged }) => sum + acknowledged, 0)} transfers ` +
            `acknowledged, none lost, none twice; ${
              figures.reduce((sum, { unknown }) => sum + unknown.notAsked, 0)
            } unknown, ` +
            `${figures.reduce((sum, { unknown }) => sum + unknown.asked, 0)} with resolveCommit; ` +
            `first success after the promotion: ${times[0]} to ${times.at(-1)} ms, median ${
              times[Math.floor(times.length / 2)]
            } ms`
        )
      }),
    30_000 + rounds * 40_000
  )
})
