/** The faults of DbTest.flaky beside those of real servers: no program can tell them apart. */
import { expect, it } from "@effect/vitest"
import { Duration, Effect, Either, type Layer, Option, type Scope } from "effect"
import * as Mysql from "mysql2/promise"
import * as fs from "node:fs"
import * as path from "node:path"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import * as DbTest from "../../src/DbTest.js"
import { makeRelay } from "../driver/mysql/relay.js"
import { describeMariadb, describePrivateMysql, freshMysqlDatabase, mysqlQuery, privateMysql } from "../kit/mysql.js"
import {
  describePostgres,
  describePrivatePostgres,
  eventually,
  freshDatabase,
  observer,
  PrivatePostgres,
  query
} from "../kit/postgres.js"
import { afterStatement, makeProxy } from "../kit/proxy.js"
import { compared, inTransaction, on, refusal, update, updateRow } from "./comparedErrors.js"

type Program = Effect.Effect<DbError, unknown, Db | Scope.Scope>

/** A database, and a link to it that can be spoilt. */
interface Server {
  readonly database: Layer.Layer<Db, unknown>
  /** The same, of which an opening does not take long. */
  readonly impatient: Layer.Layer<Db, unknown>
  /** Runs a statement beside the link. */
  readonly beside: (text: string) => Effect.Effect<unknown>
  /** The next statement that is told by this text reaches the server, and its answer does not come. */
  readonly cutAfter: (text: string) => void
  readonly cutAll: () => void
  /** Makes a fault of opening real. */
  readonly spoil: (fault: DbTest.ConnectFault) => Effect.Effect<unknown>
}

/** What differs between the servers. */
interface Family {
  readonly describe: (name: string, body: () => void) => void
  readonly server: Effect.Effect<Server, unknown, Scope.Scope>
  /** Takes longer than the limit of a statement. */
  readonly slow: string
  /** What passes on the link when `write` runs. */
  readonly writeText: string
  /** What each of two sessions runs before they block each other, so that the server finds the deadlock soon. */
  readonly beforeDeadlock: ReadonlyArray<string>
  /** What a session runs so that it does not overwrite what has changed since it was read. */
  readonly beforeSnapshot: ReadonlyArray<string>
  /** The faults of opening that its link can make real. */
  readonly openings: ReadonlyArray<DbTest.ConnectFault>
  /** At a statement's limit the server and the engine stop it at the same moment, and either may be first. */
  readonly isStoppedByEither: boolean
}

interface Case {
  readonly plan: DbTest.Plan
  /** What a program does, with the fault that the plan injects. */
  readonly program: Program
  /** The same on a database where the fault is real. */
  readonly real: (server: Server) => Program
}

/** It must not end a wait for a lock. */
const unlimited = Db.withLimits({ statementTimeout: "10 seconds" })
const write = Db.query("UPDATE note SET body = :body WHERE id = 1", { body: "a marker" })
const writeInTransaction = Effect.flip(Db.transaction(write))

const runAll = (session: Db.Session, texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => session.use(Db.query(text)), { discard: true })

const cut = (text: string, program: Program) => ({ cutAfter }: Server) =>
  Effect.suspend(() => {
    cutAfter(text)
    return program
  })

const casesOf = (family: Family): Readonly<Record<string, Case>> => {
  const slow = Effect.flip(Db.query(family.slow))
  const slowInTransaction = Effect.flip(Db.transaction(Db.query(family.slow)))
  return {
    "a deadlock": {
      plan: [{ on: "statement", nth: 2, fault: "Deadlock" }],
      program: Effect.flip(Effect.zipRight(updateRow(1), updateRow(2)).pipe(Db.transaction)),
      real: () =>
        Effect.gen(function*() {
          const [one, two] = [yield* Db.reserve, yield* Db.reserve]
          for (const session of [one, two]) {
            yield* session.begin()
            yield* runAll(session, family.beforeDeadlock)
          }
          yield* one.use(updateRow(1))
          yield* two.use(updateRow(2))
          const other = yield* Effect.fork(Effect.either(one.use(updateRow(2))))
          yield* Effect.sleep("50 millis")
          const error = yield* Effect.either(two.use(updateRow(1)))
          yield* two.rollback
          const first = yield* other
          return Option.getOrThrow(Option.orElse(Either.getLeft(error), () => Either.getLeft(first)))
        })
    },
    "a serialization failure": {
      plan: [{ on: "statement", nth: 2, fault: "Serialization" }],
      program: Effect.flip(Effect.zipRight(Db.query("SELECT * FROM note"), updateRow(1)).pipe(Db.transaction)),
      real: ({ beside }) =>
        Effect.gen(function*() {
          const session = yield* Db.reserve
          yield* runAll(session, family.beforeSnapshot)
          yield* session.begin({ isolation: "repeatable read" })
          yield* session.use(Db.query("SELECT * FROM note"))
          yield* beside("UPDATE note SET body = 'changed' WHERE id = 1")
          return yield* Effect.flip(session.use(updateRow(1)))
        })
    },
    "a lock that is not given": {
      plan: [{ on: "statement", fault: "LockTimeout" }],
      program: unlimited(inTransaction),
      real: () =>
        Effect.gen(function*() {
          const holder = yield* Db.reserve
          yield* holder.begin()
          yield* holder.use(update)
          return yield* inTransaction
        }).pipe(unlimited)
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
      real: cut(family.writeText, Effect.flip(write))
    },
    "a statement of a transaction that is cut": {
      plan: [{ on: "statement", fault: "LostDuring" }],
      program: writeInTransaction,
      real: cut(family.writeText, writeInTransaction)
    },
    "a transaction that was cut between two statements": {
      plan: [{ on: "statement", nth: 2, fault: "LostBefore" }],
      program: Effect.flip(Effect.zipRight(Db.query("SELECT 1"), update).pipe(Db.transaction)),
      real: ({ cutAll }) =>
        Effect.flip(
          Effect.gen(function*() {
            yield* Db.query("SELECT 1")
            const { connectionFailures } = yield* Db.metrics
            cutAll()
            // A write that comes before the loss is known meets it in another way.
            yield* eventually(Db.metrics, (metrics) => metrics.connectionFailures > connectionFailures)
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
}

const table = ["CREATE TABLE note (id int PRIMARY KEY, body text)", "INSERT INTO note VALUES (1, 'a'), (2, 'b')"]
const impatience = { connectTimeout: "400 millis", acquireTimeout: "5 seconds" } as const

const postgres: Family = {
  describe: describePostgres,
  server: Effect.gen(function*() {
    const { url } = yield* freshDatabase
    yield* Effect.forEach(table, (text) => query(url, text))
    const { hostname, port } = new URL(url)
    const proxy = yield* makeProxy({ host: hostname, port: Number(port) })
    const options = {
      url: proxy.url(url),
      limits: { lockTimeout: "150 millis", statementTimeout: "1 second" },
      ssl: "disable"
    } as const
    return {
      database: Db.layer(options),
      impatient: Db.layer({ ...options, pool: impatience }),
      beside: (text) => query(url, text),
      cutAfter: (text) => void proxy.at(afterStatement(new RegExp(`^${text}`)), "cut"),
      cutAll: () => proxy.cutAll(),
      spoil: (fault) => fault === "Refused" ? proxy.refuse : Effect.sync(() => proxy.blackHole())
    }
  }),
  slow: "SELECT pg_sleep(10)",
  writeText: "UPDATE",
  beforeDeadlock: ["SET LOCAL lock_timeout = 0", "SET LOCAL deadlock_timeout = '50ms'"],
  beforeSnapshot: [],
  openings: ["Refused", "Timeout"],
  isStoppedByEither: false
}

const mariadb: Family = {
  describe: describeMariadb,
  server: Effect.gen(function*() {
    const { host, port, url } = yield* freshMysqlDatabase
    yield* Effect.forEach(table, (text) => mysqlQuery(url, text))
    const relay = yield* makeRelay(host, port)
    const through = new URL(url)
    through.port = String(relay.port)
    const options = {
      url: through.href,
      // Whole seconds is what the server knows for locks.
      limits: { lockTimeout: "1 second", statementTimeout: "900 millis" },
      ssl: "disable"
    } as const
    return {
      database: Db.layer(options),
      impatient: Db.layer({ ...options, pool: impatience }),
      beside: (text) => mysqlQuery(url, text),
      cutAfter: (text) => relay.cutAt(text, "after"),
      cutAll: () => relay.cut(),
      spoil: () => Effect.sync(() => relay.silence())
    }
  }),
  slow: "SELECT SLEEP(10)",
  // Statements are prepared: what passes when one runs are its parameters.
  writeText: "a marker",
  beforeDeadlock: [],
  beforeSnapshot: ["SET innodb_snapshot_isolation = ON"],
  // A server that is not there: below.
  openings: ["Timeout"],
  isStoppedByEither: true
}

for (const [title, family] of Object.entries({ PostgreSQL: postgres, MariaDB: mariadb })) {
  family.describe(`injected faults beside those of ${title}`, () => {
    for (const [name, { plan, program, real }] of Object.entries(casesOf(family))) {
      it.scopedLive(name, () =>
        Effect.gen(function*() {
          const server = yield* family.server
          const injected = compared(yield* on(DbTest.flaky(server.database, plan), program))
          const found = compared(yield* on(server.database, real(server)))
          const cause = family.isStoppedByEither && name.includes("too long") ? found.cause : injected.cause
          expect({ ...injected, cause }).toEqual(found)
        }))
    }

    for (const fault of family.openings) {
      it.scopedLive(`an opening that fails: ${fault}`, () =>
        Effect.gen(function*() {
          const { impatient, spoil } = yield* family.server
          const [took, injected] = yield* Effect.timed(
            refusal(DbTest.flaky(impatient, [{ on: "connect", times: 100, fault }]))
          )
          yield* spoil(fault)
          expect(compared(injected)).toEqual(compared(yield* refusal(impatient)))
          expect(Duration.toMillis(took)).toBeLessThan(10_000)
        }))
    }
  })
}

describePrivatePostgres("injected refusals beside those of PostgreSQL", () => {
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

describePrivateMysql("injected refusals beside those of MariaDB", () => {
  it.scopedLive("too many connections, and no server", () =>
    Effect.gen(function*() {
      // It takes no fewer than ten, and one more of an administrator.
      const server = yield* privateMysql({ args: ["--max-connections=10"] })
      const plain = `mysql://plain:plain@${server.host}:${server.port}/`
      yield* mysqlQuery(server.url, "CREATE USER plain IDENTIFIED BY 'plain'")
      const database = Db.layer({ url: plain, ssl: "disable", pool: { acquireTimeout: "50 millis" } })
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
