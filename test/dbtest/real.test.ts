/** The faults of DbTest.flaky beside those of a real server: no program can tell them apart. */
import { expect, it } from "@effect/vitest"
import { Duration, Effect, type Layer, type Scope } from "effect"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import * as DbTest from "../../src/DbTest.js"
import { describePostgres, freshDatabase, query } from "../kit/postgres.js"
import { afterStatement, makeProxy, type Proxy } from "../kit/proxy.js"

const limits = { lockTimeout: "150 millis", statementTimeout: "1 second" } as const
const pool = { connectTimeout: "400 millis", acquireTimeout: "5 seconds" } as const

const update = Db.query("UPDATE note SET body = body WHERE id = 1")
const updateRow = (id: number) => Db.query("UPDATE note SET body = body WHERE id = :id", { id })

/** Everything of an error that a program can go by, and what a person reads. */
const face = (error: DbError) => ({
  ...error,
  tag: error._tag,
  isTransient: error.isTransient,
  // Without the numbers of ports, processes and transactions.
  message: error.message.replace(/\b\d{4,}\b/g, "N"),
  detail: "detail" in error ? error.detail?.replace(/\d+/g, "N") : undefined,
  stack: undefined,
  cause: Object.fromEntries(
    ["name", "severity", "code", "errno", "syscall"].map((
      key
    ) => [key, (error.cause as Record<string, unknown>)?.[key]])
  )
})

interface Server {
  readonly proxy: Proxy
  readonly url: string
  readonly direct: string
}

type Case = {
  readonly plan: DbTest.Plan
  /** What a program does, with the fault that the plan injects. */
  readonly program: Effect.Effect<DbError, unknown, Db | Scope.Scope>
  /** The same on a database where the fault is real. */
  readonly real: (server: Server) => Effect.Effect<DbError, unknown, Db | Scope.Scope>
}

const inTransaction = Effect.flip(update.pipe(Db.transaction()))

const cases: Readonly<Record<string, Case>> = {
  "a serialization failure": {
    plan: [{ on: "statement", nth: 2, fault: "Serialization" }],
    program: Effect.flip(
      Effect.zipRight(Db.query("SELECT 1"), update).pipe(Db.transaction({ isolation: "repeatable read" }))
    ),
    real: ({ direct }) =>
      Effect.flip(
        Effect.zipRight(
          Effect.zipRight(Db.query("SELECT * FROM note"), query(direct, "UPDATE note SET body = body")),
          update
        ).pipe(Db.transaction({ isolation: "repeatable read" }))
      )
  },
  "a deadlock": {
    plan: [{ on: "statement", nth: 2, fault: "Deadlock" }],
    program: Effect.flip(Effect.zipRight(updateRow(1), updateRow(2)).pipe(Db.transaction())),
    real: () =>
      Effect.gen(function*() {
        const [one, two] = [yield* Db.scoped, yield* Db.scoped]
        yield* one.begin()
        yield* two.begin()
        // No lock timeout comes before the deadlock is found.
        yield* Effect.forEach([one, two], (session) => session.use(Db.query("SET LOCAL lock_timeout = 0")))
        yield* Effect.forEach([one, two], (session) => session.use(Db.query("SET LOCAL deadlock_timeout = '50ms'")))
        yield* one.use(updateRow(1))
        yield* two.use(updateRow(2))
        const other = yield* Effect.fork(
          Effect.either(one.use(updateRow(2)))
        )
        yield* Effect.sleep("20 millis")
        const error = yield* Effect.either(two.use(updateRow(1)))
        yield* two.rollback
        const first = yield* other
        return error._tag === "Left" ? error.left : yield* Effect.flip(first)
      })
  },
  "a lock that is not given": {
    plan: [{ on: "statement", fault: "LockTimeout" }],
    program: inTransaction,
    real: () =>
      Effect.gen(function*() {
        const holder = yield* Db.scoped
        yield* holder.begin()
        yield* holder.use(update)
        return yield* inTransaction
      })
  },
  "a statement that is cut": {
    plan: [{ on: "statement", fault: "LostAfter" }],
    program: Effect.flip(update),
    real: ({ proxy }) =>
      Effect.suspend(() => {
        proxy.at(afterStatement(/^UPDATE/), "cut")
        return Effect.flip(update)
      })
  },
  "a statement of a transaction that is cut": {
    plan: [{ on: "statement", fault: "LostDuring" }],
    program: inTransaction,
    real: ({ proxy }) =>
      Effect.suspend(() => {
        proxy.at(afterStatement(/^UPDATE/), "cut")
        return inTransaction
      })
  },
  "a transaction that was cut between two statements": {
    plan: [{ on: "statement", nth: 2, fault: "LostBefore" }],
    program: Effect.flip(Effect.zipRight(Db.query("SELECT 1"), update).pipe(Db.transaction())),
    real: ({ proxy }) =>
      Effect.flip(
        Effect.gen(function*() {
          yield* Db.query("SELECT 1")
          proxy.cutAll()
          yield* Effect.sleep("50 millis")
          yield* update
        }).pipe(Db.transaction())
      )
  },
  "a COMMIT that is cut": {
    plan: [{ on: "commit", fault: "LostAfter" }],
    program: inTransaction,
    real: ({ proxy }) =>
      Effect.suspend(() => {
        proxy.at(afterStatement(/^COMMIT/), "cut")
        return inTransaction
      })
  }
}

/** What goes wrong when a database is opened, by the fault's name. */
const openings: Readonly<Record<DbTest.ConnectFault, ((server: Server) => Effect.Effect<unknown>) | undefined>> = {
  Refused: ({ proxy }) => proxy.refuse,
  Timeout: ({ proxy }) => Effect.sync(() => proxy.blackHole()),
  TooManyConnections: undefined,
  ServerStarting: undefined
}

describePostgres("injected faults beside real ones", () => {
  const server = Effect.gen(function*() {
    const { url } = yield* freshDatabase
    yield* query(url, "CREATE TABLE note (id int PRIMARY KEY, body text)")
    yield* query(url, "INSERT INTO note VALUES (1, 'a'), (2, 'b')")
    const { hostname, port } = new URL(url)
    const proxy = yield* makeProxy({ host: hostname, port: Number(port) })
    return { proxy, direct: url, url: proxy.url(url) }
  })
  const database = ({ url }: Server) => Db.layer({ url, limits, pool, ssl: "disable" })
  const on = <A, E, LE>(layer: Layer.Layer<Db, LE>, effect: Effect.Effect<A, E, Db | Scope.Scope>) =>
    Effect.scoped(effect).pipe(Effect.provide(layer))

  for (const [name, { plan, program, real }] of Object.entries(cases)) {
    it.scopedLive(name, () =>
      Effect.gen(function*() {
        const place = yield* server
        const injected = yield* on(DbTest.flaky(database(place), plan), program)
        expect(face(injected)).toEqual(face(yield* on(database(place), real(place))))
      }))
  }

  for (const [fault, spoil] of Object.entries(openings)) {
    if (spoil !== undefined) {
      it.scopedLive(`an opening that fails: ${fault}`, () =>
        Effect.gen(function*() {
          const place = yield* server
          const fail = (layer: Layer.Layer<Db, unknown>) => Effect.flip(on(layer, Db.query("SELECT 1")))
          const [took, injected] = yield* Effect.timed(
            fail(DbTest.flaky(database(place), [{ on: "connect", times: 100, fault: fault as DbTest.ConnectFault }]))
          )
          yield* spoil(place)
          const real = yield* fail(database(place))
          expect(face(injected as DbError)).toEqual(face(real as DbError))
          expect(Duration.toMillis(took)).toBeLessThan(10_000)
        }))
    }
  }
})
