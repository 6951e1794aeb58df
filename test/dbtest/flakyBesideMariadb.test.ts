/** The faults of DbTest.flaky beside those of a real MariaDB: no program can tell them apart. */
import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as Mysql from "mysql2/promise"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import * as DbTest from "../../src/DbTest.js"
import { makeRelay, type Relay } from "../driver/mysql/relay.js"
import { describeMariadb, describePrivateMysql, freshMysqlDatabase, mysqlQuery, privateMysql } from "../kit/mysql.js"
import { compared, inTransaction, on, refusal, update, updateRow } from "./comparedErrors.js"

const options = {
  // Whole seconds is what the server knows for locks.
  limits: { lockTimeout: "1 second", statementTimeout: "900 millis" },
  pool: { connectTimeout: "400 millis", acquireTimeout: "5 seconds" },
  ssl: "disable"
} as const

type Case = {
  readonly plan: DbTest.Plan
  /** What a program does, with the fault that the plan injects. */
  readonly program: Effect.Effect<DbError, unknown, Db | Scope.Scope>
  /** The same on a database where the fault is real. */
  readonly real: (relay: Relay) => Effect.Effect<DbError, unknown, Db | Scope.Scope>
}

const unlimited = { statementTimeout: "10 seconds" } as const
const slow = Effect.flip(Db.query("SELECT SLEEP(10)"))
const slowInTransaction = Effect.flip(Db.transaction(Db.query("SELECT SLEEP(10)")))
// Statements are prepared: what passes when one runs are its parameters.
const write = Db.query("UPDATE note SET body = :body WHERE id = 1", { body: "a marker" })
const writeInTransaction = Effect.flip(Db.transaction(write))
const cut = (text: string, program: Case["program"]) => (relay: Relay) =>
  Effect.suspend(() => {
    relay.cutAt(text, "after")
    return program
  })

const cases: Readonly<Record<string, Case>> = {
  "a deadlock": {
    plan: [{ on: "statement", nth: 2, fault: "Deadlock" }],
    program: Effect.flip(Effect.zipRight(updateRow(1), updateRow(2)).pipe(Db.transaction)),
    real: () =>
      Effect.gen(function*() {
        const [one, two] = [yield* Db.reserve, yield* Db.reserve]
        yield* one.begin()
        yield* two.begin()
        yield* one.use(updateRow(1))
        yield* two.use(updateRow(2))
        const other = yield* Effect.fork(Effect.either(one.use(updateRow(2))))
        yield* Effect.sleep("50 millis")
        const error = yield* Effect.either(two.use(updateRow(1)))
        yield* two.rollback
        const first = yield* other
        return error._tag === "Left" ? error.left : yield* Effect.flip(first)
      })
  },
  "a serialization failure": {
    plan: [{ on: "statement", nth: 2, fault: "Serialization" }],
    program: Effect.flip(Effect.zipRight(Db.query("SELECT * FROM note"), updateRow(1)).pipe(Db.transaction)),
    real: () =>
      Effect.gen(function*() {
        const [one, two] = [yield* Db.reserve, yield* Db.reserve]
        // Without it MariaDB overwrites what has changed since it was read.
        yield* one.use(Db.query("SET innodb_snapshot_isolation = ON"))
        yield* one.begin({ isolation: "repeatable read" })
        yield* one.use(Db.query("SELECT * FROM note"))
        yield* two.use(Db.query("UPDATE note SET body = 'changed' WHERE id = 1"))
        return yield* Effect.flip(one.use(updateRow(1)))
      })
  },
  "a lock that is not given": {
    plan: [{ on: "statement", fault: "LockTimeout" }],
    program: Db.withLimits(unlimited)(inTransaction),
    real: () =>
      Effect.gen(function*() {
        const holder = yield* Db.reserve
        yield* holder.begin()
        yield* holder.use(update)
        return yield* inTransaction
      }).pipe(Db.withLimits(unlimited))
  },
  "a statement that takes too long": {
    plan: [{ on: "statement", fault: "Timeout" }],
    program: slow,
    real: () => slow
  },
  "a statement of a transaction that takes too long": {
    plan: [{ on: "statement", fault: "Timeout" }],
    program: slowInTransaction,
    real: () => slowInTransaction
  },
  "a statement that is cut": {
    plan: [{ on: "statement", fault: "LostAfter" }],
    program: Effect.flip(write),
    real: cut("a marker", Effect.flip(write))
  },
  "a statement of a transaction that is cut": {
    plan: [{ on: "statement", fault: "LostDuring" }],
    program: writeInTransaction,
    real: cut("a marker", writeInTransaction)
  },
  "a transaction that was cut between two statements": {
    plan: [{ on: "statement", nth: 2, fault: "LostBefore" }],
    program: Effect.flip(Effect.zipRight(Db.query("SELECT 1"), update).pipe(Db.transaction)),
    real: (relay) =>
      Effect.flip(
        Effect.gen(function*() {
          yield* Db.query("SELECT 1")
          relay.cut()
          yield* Effect.sleep("50 millis")
          yield* update
        }).pipe(Db.transaction)
      )
  },
  "a COMMIT that is cut": {
    plan: [{ on: "commit", fault: "LostAfter" }],
    program: inTransaction,
    real: cut("COMMIT", inTransaction)
  }
}

describeMariadb("injected faults beside those of MariaDB", () => {
  const server = Effect.gen(function*() {
    const { host, port, url } = yield* freshMysqlDatabase
    yield* mysqlQuery(url, "CREATE TABLE note (id int PRIMARY KEY, body text) ENGINE=InnoDB")
    yield* mysqlQuery(url, "INSERT INTO note VALUES (1, 'a'), (2, 'b')")
    const relay = yield* makeRelay(host, port)
    const through = new URL(url)
    through.port = String(relay.port)
    return { relay, database: Db.layer({ url: through.href, ...options }) }
  })

  for (const [name, { plan, program, real }] of Object.entries(cases)) {
    it.scopedLive(name, () =>
      Effect.gen(function*() {
        const { database, relay } = yield* server
        const injected = compared(yield* on(DbTest.flaky(database, plan), program))
        const found = compared(yield* on(database, real(relay)))
        // At a statement's limit the server and the engine stop it at the same moment, and either may be first.
        expect({ ...injected, cause: name.includes("too long") ? found.cause : injected.cause }).toEqual(found)
      }))
  }

  it.scopedLive("an opening that gets no answer", () =>
    Effect.gen(function*() {
      const { database, relay } = yield* server
      const injected = yield* refusal(DbTest.flaky(database, [{ on: "connect", times: 100, fault: "Timeout" }]))
      relay.silence()
      expect(compared(injected)).toEqual(compared(yield* refusal(database)))
    }))
})

describePrivateMysql("injected refusals beside those of MariaDB", () => {
  it.scopedLive("too many connections, and no server", () =>
    Effect.gen(function*() {
      // It takes no fewer than ten, and one more of an administrator.
      const server = yield* privateMysql({ args: ["--max-connections=10"] })
      const plain = `mysql://plain:plain@${server.host}:${server.port}/`
      yield* mysqlQuery(server.url, "CREATE USER plain IDENTIFIED BY 'plain'")
      const database = Db.layer({ url: plain, ...options, pool: { acquireTimeout: "50 millis" } })
      const injected = (fault: DbTest.ConnectFault) =>
        refusal(DbTest.flaky(database, [{ on: "connect", times: 100, fault }]))
      // A server that refuses before it has greeted does not always say the SQLSTATE.
      const seen = (error: DbError) => ({
        ...compared(error),
        cause: { ...compared(error).cause as object, sqlState: undefined }
      })
      const expected = [yield* injected("TooManyConnections"), yield* injected("Refused")].map(seen)
      const connect = Effect.acquireRelease(
        Effect.tryPromise(async () => {
          const other = await Mysql.createConnection(plain)
          other.on("error", () => {})
          return other
        }),
        (other) => Effect.sync(() => other.destroy())
      )
      // Those that were closed before may still count.
      yield* Effect.flip(Effect.forever(connect))
      const full = yield* refusal(database)
      yield* Effect.promise(() => server.kill())
      expect([seen(full), seen(yield* refusal(database))]).toEqual(expected)
    }), 30_000)
})
