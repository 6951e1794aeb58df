/** The faults of DbTest.flaky beside those of a real server: no program can tell them apart. */
import { expect, it } from "@effect/vitest"
import { Duration, Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import type { DbError } from "../../src/DbError.js"
import * as DbTest from "../../src/DbTest.js"
import {
  describePostgres,
  describePrivatePostgres,
  eventually,
  freshDatabase,
  observer,
  PrivatePostgres,
  query
} from "../kit/postgres.js"
import { afterStatement, makeProxy, type Proxy } from "../kit/proxy.js"
import { compared, inTransaction, on, refusal, update, updateRow } from "./comparedErrors.js"

const limits = { lockTimeout: "150 millis", statementTimeout: "1 second" } as const
/** Of a connection that fails by itself; others have the time they need. */
const impatient = { connectTimeout: "400 millis" } as const

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

/** Takes longer than the limit. */
const slow = Effect.flip(Db.query("SELECT pg_sleep(10)"))

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
    program: Effect.flip(Effect.zipRight(updateRow(1), updateRow(2)).pipe(Db.transaction)),
    real: () =>
      Effect.gen(function*() {
        const [one, two] = [yield* Db.reserve, yield* Db.reserve]
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
        const holder = yield* Db.reserve
        yield* holder.begin()
        yield* holder.use(update)
        return yield* inTransaction
      })
  },
  "a statement that takes too long": {
    plan: [{ on: "statement", fault: "Timeout" }],
    program: slow,
    real: () => slow
  },
  "a statement of a transaction that takes too long": {
    plan: [{ on: "statement", fault: "Timeout" }],
    program: slow.pipe(Effect.flip, Db.transaction, Effect.flip),
    real: () => slow.pipe(Effect.flip, Db.transaction, Effect.flip)
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
    program: Effect.flip(Effect.zipRight(Db.query("SELECT 1"), update).pipe(Db.transaction)),
    real: ({ proxy }) =>
      Effect.flip(
        Effect.gen(function*() {
          yield* Db.query("SELECT 1")
          const { connectionFailures } = yield* Db.metrics
          proxy.cutAll()
          // A write that comes before the loss is known meets it in another way.
          yield* eventually(Db.metrics, (metrics) => metrics.connectionFailures > connectionFailures)
          yield* update
        }).pipe(Db.transaction)
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
const openings: Readonly<Partial<Record<DbTest.ConnectFault, (server: Server) => Effect.Effect<unknown>>>> = {
  Refused: ({ proxy }) => proxy.refuse,
  Timeout: ({ proxy }) => Effect.sync(() => proxy.blackHole())
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
  const database = ({ url }: Server, pool: DbConfig.PoolOptions = {}) => Db.layer({ url, limits, pool, ssl: "disable" })
  for (const [name, { plan, program, real }] of Object.entries(cases)) {
    it.scopedLive(name, () =>
      Effect.gen(function*() {
        const place = yield* server
        const injected = yield* on(DbTest.flaky(database(place), plan), program)
        expect(compared(injected)).toEqual(compared(yield* on(database(place), real(place))))
      }))
  }

  for (const [fault, spoil] of Object.entries(openings)) {
    it.scopedLive(`an opening that fails: ${fault}`, () =>
      Effect.gen(function*() {
        const place = yield* server
        const [took, injected] = yield* Effect.timed(
          refusal(
            DbTest.flaky(database(place, impatient), [{
              on: "connect",
              times: 100,
              fault: fault as DbTest.ConnectFault
            }])
          )
        )
        yield* spoil(place)
        expect(compared(injected)).toEqual(compared(yield* refusal(database(place, impatient))))
        expect(Duration.toMillis(took)).toBeLessThan(10_000)
      }))
  }
})

describePrivatePostgres("injected refusals beside those of a server", () => {
  const injected = (url: string, fault: DbTest.ConnectFault) =>
    refusal(DbTest.flaky(Db.layer({ url, ssl: "disable" }), [{ on: "connect", times: 100, fault }]))

  it.scopedLive("too many connections", () =>
    Effect.gen(function*() {
      const { url } = yield* PrivatePostgres.make({
        settings: { max_connections: "3", superuser_reserved_connections: "0", max_wal_senders: "0" }
      })
      const expected = yield* injected(url, "TooManyConnections")
      yield* Effect.replicateEffect(observer(url), 3)
      expect(compared(yield* refusal(Db.layer({ url, ssl: "disable" })))).toEqual(compared(expected))
    }), 30_000)

  it.scopedLive("a server that is starting", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make()
      const expected = yield* injected(server.url, "ServerStarting")
      // It asks for each piece of an archive before it says more than that it is starting.
      yield* query(server.url, "ALTER SYSTEM SET restore_command = 'sleep 1; false'")
      const [row] = yield* query(server.url, "SHOW data_directory")
      yield* server.stop()
      const signal = path.join(row!["data_directory"], "recovery.signal")
      fs.writeFileSync(signal, "")
      const { gid, uid } = fs.statSync(path.dirname(signal))
      fs.chownSync(signal, uid, gid)
      yield* Effect.fork(server.start)
      const real = yield* eventually(
        refusal(Db.layer({ url: server.url, ssl: "disable", pool: { acquireTimeout: "50 millis" } })),
        (error) => !(error._tag === "ConnectionError" && error.reason === "Refused")
      )
      expect(compared(real)).toEqual(compared(expected))
    }), 30_000)
})
