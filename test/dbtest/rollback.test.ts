import { SqlClient } from "@effect/sql"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, type Duration, Effect, Either, Exit, Fiber, Layer, type Scope, Stream } from "effect"
import { Db } from "../../src/Db.js"
import * as DbTest from "../../src/DbTest.js"
import { describePostgres, sharedPostgres } from "../kit/postgres.js"

/** Tables that any database understands. */
const tables = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.forEach([
    "CREATE TABLE note (body VARCHAR(50) UNIQUE)",
    "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (parent_id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
  ], (text) => sql.unsafe(text)))

class Other extends Db.Tag("Other")<Other>() {}

type Database = Layer.Layer<Db | SqlClient.SqlClient, unknown>

const add = (body: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO note (body) VALUES (${body})`)
const bodies = Effect.map(
  Db.query<{ body: string }>("SELECT body FROM note ORDER BY body"),
  (rows) => rows.map(({ body }) => body)
)

/** The same promises over each database. `sandboxed` makes what a test provides to itself. */
const suite = (
  database: () => Database,
  describeIt: (name: string, body: () => void) => void,
  name: string
): void => {
  describeIt(name, () => {
    /** Runs a body in a sandbox, and gives what the database holds afterwards, too. */
    const sandboxed = <A, E>(
      body: Effect.Effect<A, E, Db | SqlClient.SqlClient | Scope.Scope>,
      patience: Duration.DurationInput = "60 millis"
    ) =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(
          Effect.scoped(body).pipe(Effect.provide(DbTest.sandboxOf(Db, { patience })))
        )
        return { exit, after: yield* bodies }
      }).pipe(Effect.provide(database()))

    it.effect("undoes everything at the end of the test", () =>
      Effect.gen(function*() {
        const { after, exit } = yield* sandboxed(Effect.gen(function*() {
          yield* add("statement")
          yield* add("session").pipe(Db.session)
          yield* add("transaction").pipe(Db.transaction)
          // Nothing can come between the program and this database, so there is nothing to be resolved.
          yield* add("resolved").pipe(Db.transaction({ resolveCommit: true }))
          return yield* bodies
        }))
        expect(exit).toEqual(Exit.succeed(["resolved", "session", "statement", "transaction"]))
        expect(after).toEqual([])
      }))

    it.effect("makes transactions savepoints: one that fails is undone alone", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          yield* Effect.gen(function*() {
            yield* add("outer")
            yield* Effect.zipRight(add("inner"), Effect.fail("no")).pipe(Db.transaction, Effect.ignore)
            yield* add("after")
          }).pipe(Db.transaction)
          yield* Effect.zipRight(add("undone"), Effect.fail("no")).pipe(Db.transaction, Effect.ignore)
          return yield* bodies
        }))
        expect(exit).toEqual(Exit.succeed(["after", "outer"]))
      }))

    it.effect("transactions nest five deep, and each failing one is undone alone", () =>
      Effect.gen(function*() {
        const nested = (depth: number): Effect.Effect<void, unknown, Db | SqlClient.SqlClient> =>
          Effect.gen(function*() {
            yield* add(`in ${depth}`)
            yield* depth === 1 ? Effect.void : nested(depth - 1)
            yield* Effect.zipRight(add(`lost ${depth}`), Effect.fail("no")).pipe(Db.transaction, Effect.ignore)
          }).pipe(Db.transaction)
        const { after, exit } = yield* sandboxed(Effect.zipRight(nested(5), bodies))
        expect(exit).toEqual(Exit.succeed(["in 1", "in 2", "in 3", "in 4", "in 5"]))
        expect(after).toEqual([])
      }))

    it.effect("an interrupted transaction is undone, and the sandbox goes on", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          yield* add("before")
          const isIn = yield* Deferred.make<void>()
          const fiber = yield* Effect.fork(
            Effect.zipRight(add("undone"), Effect.zipRight(Deferred.succeed(isIn, undefined), Effect.never)).pipe(
              Db.transaction
            )
          )
          yield* Deferred.await(isIn)
          yield* Fiber.interrupt(fiber)
          yield* add("after").pipe(Db.transaction)
          return yield* bodies
        }))
        expect(exit).toEqual(Exit.succeed(["after", "before"]))
      }))

    it.effect("a failing statement outside a transaction harms nothing around it", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          yield* add("a")
          const error = yield* Db.query("INSERT INTO note (body) VALUES ('a')").pipe(Effect.flip)
          yield* add("b")
          return [error.reason, yield* bodies]
        }))
        expect(exit).toEqual(Exit.succeed(["UniqueViolation", ["a", "b"]]))
      }))

    it.effect("what is refused before it is sent does what it does without a sandbox", () =>
      Effect.gen(function*() {
        const work = Effect.gen(function*() {
          const refused = Effect.flip(Db.query("SELECT :x", { x: "\ud800" }))
          const alone = yield* refused
          const inside = yield* Effect.zipRight(refused, add("a")).pipe(Db.transaction, Effect.exit)
          yield* add("b")
          return { alone: alone.reason, inside: Exit.isSuccess(inside), bodies: yield* bodies }
        })
        const { exit } = yield* sandboxed(work)
        const outside = yield* Effect.provide(work, database())
        expect(exit).toEqual(Exit.succeed(outside))
        expect(outside).toMatchObject({ alone: "Parameter" })
        expect(outside.bodies).toContain("b")
      }))

    it.effect("a transaction whose statement failed cannot be committed after the error was swallowed", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          yield* add("a")
          const swallowed = yield* Effect.zipRight(add("b"), Effect.ignore(add("a"))).pipe(
            Db.transaction,
            Effect.either
          )
          return [Either.isRight(swallowed), yield* bodies]
        }))
        // As the database itself: PostgreSQL refuses, SQLite goes on.
        expect(exit).toEqual(Exit.succeed(name === "postgresql" ? [false, ["a"]] : [true, ["a", "b"]]))
      }))

    it.effect("fibers of the test share it, and their transactions take turns", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          const alone = yield* Effect.forEach([2, 4, 6], (i) => Effect.fork(add(`f${i}`)))
          const transactions = yield* Effect.forEach(
            [1, 3, 5],
            (i) => Effect.fork(Effect.zipLeft(add(`f${i}`), bodies).pipe(Db.transaction))
          )
          yield* Effect.forEach(alone, Fiber.join)
          yield* Effect.forEach(transactions, Fiber.join)
          return yield* bodies
        }))
        expect(exit).toEqual(Exit.succeed(["f1", "f2", "f3", "f4", "f5", "f6"]))
      }))

    it.effect("refuses a second connection inside a session at once, with an explanation", () =>
      Effect.gen(function*() {
        const second = Effect.scoped(Effect.flatMap(Db.reserve, (session) => session.use(add("second"))))
        const { exit } = yield* sandboxed(
          Effect.gen(function*() {
            const error = yield* Effect.zipRight(add("first"), second).pipe(Db.transaction, Effect.flip)
            const caught = yield* Effect.zipRight(Effect.ignore(second), add("after")).pipe(Db.session, Effect.either)
            // Outside of any session, it is the first.
            yield* second
            return { error, isCaught: Either.isRight(caught), bodies: yield* bodies }
          }),
          "1 hour"
        )
        expect(exit).toMatchObject({
          value: {
            error: { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" },
            isCaught: true,
            bodies: ["after", "second"]
          }
        })
        expect(JSON.stringify(exit)).toContain("a second connection was asked for inside a sandbox")
      }))

    it.effect("a session outlived by a fiber of its own does not block the next one", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(
          Effect.gen(function*() {
            const isOver = yield* Deferred.make<void>()
            const late = yield* Effect.forkDaemon(
              Effect.zipRight(
                Deferred.await(isOver),
                Effect.scoped(Effect.flatMap(Db.reserve, (session) => session.use(add("late"))))
              )
            ).pipe(Db.transaction)
            yield* Deferred.succeed(isOver, undefined)
            yield* Fiber.join(late)
            return yield* bodies
          }),
          "1 hour"
        )
        expect(exit).toEqual(Exit.succeed(["late"]))
      }))

    it.effect("refuses a connection beside one that is held and not used, after its patience", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(
          Effect.gen(function*() {
            const session = yield* Db.reserve
            yield* session.use(add("first"))
            return yield* Effect.flip(Db.query("SELECT 1"))
          })
        )
        expect(exit).toMatchObject({
          value: { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" }
        })
        expect(JSON.stringify(exit)).toContain("while its holder did nothing for 60 ms")
      }))

    it.effect("a session that waits for one that goes on is not refused", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          const held = yield* Deferred.make<void>()
          const release = yield* Deferred.make<void>()
          const holder = yield* Effect.fork(
            Effect.gen(function*() {
              yield* add("holder")
              yield* Deferred.succeed(held, undefined)
              yield* Deferred.await(release)
            }).pipe(Db.transaction)
          )
          yield* Deferred.await(held)
          const waiter = yield* Effect.fork(add("waiter").pipe(Db.transaction))
          yield* Deferred.succeed(release, undefined)
          yield* Fiber.join(holder)
          yield* Fiber.join(waiter)
          return yield* bodies
        }))
        expect(exit).toEqual(Exit.succeed(["holder", "waiter"]))
      }))

    it.effect("COMMIT checks deferred constraints", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          const orphan = Db.query("INSERT INTO child (parent_id) VALUES (7)")
          const inTransaction = yield* orphan.pipe(Db.transaction, Effect.flip)
          const alone = yield* Effect.flip(orphan)
          // A parent that comes later, but before COMMIT, is in time.
          yield* Effect.zipRight(orphan, Db.query("INSERT INTO parent (id) VALUES (7)")).pipe(Db.transaction)
          return [inTransaction.reason, inTransaction.outcome, alone.reason]
        }))
        expect(exit).toEqual(Exit.succeed(["ForeignKeyViolation", "RolledBack", "ForeignKeyViolation"]))
      }))

    it.effect("a commit by hand checks them, too", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(
          Effect.gen(function*() {
            const session = yield* Db.reserve
            yield* session.begin()
            yield* session.use(Db.query("INSERT INTO child (parent_id) VALUES (7)"))
            yield* session.commit
          }).pipe(Effect.scoped, Effect.flip)
        )
        expect(exit).toMatchObject({ value: { reason: "ForeignKeyViolation" } })
      }))

    it.effect("what no COMMIT has checked fails the test at its end", () =>
      Effect.gen(function*() {
        const { after, exit } = yield* Effect.gen(function*() {
          const exit = yield* Effect.exit(
            Effect.flatMap(SqlClient.SqlClient, (sql) =>
              // A stream's statement ends when its reader does: the failure has no receiver any more.
              Stream.runDrain(sql`INSERT INTO child (parent_id) VALUES (7) RETURNING parent_id`.stream)).pipe(
                Effect.provide(DbTest.sandboxOf(Db))
              )
          )
          return { exit, after: yield* bodies }
        }).pipe(Effect.provide(database()))
        const message = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "nothing"
        expect(message).toMatch(/at the end of the sandbox, where COMMIT would be: .*foreign key constraint/is)
        expect(after).toEqual([])
      }))

    it.effect("read-only transactions refuse writes", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          const error = yield* Db.query("INSERT INTO note (body) VALUES ('x')").pipe(
            Db.transaction({ readOnly: true }),
            Effect.flip
          )
          yield* add("y")
          return [error.reason, yield* bodies]
        }))
        expect(exit).toEqual(Exit.succeed(["ReadOnly", ["y"]]))
      }))

    it.effect("streams, in and outside of transactions", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          yield* Effect.forEach(["a", "b", "c"], add)
          const sql = yield* SqlClient.SqlClient
          const rows = sql<{ body: string }>`SELECT body FROM note ORDER BY body`.stream
          const all = Stream.runCollect(Stream.map(rows, ({ body }) => body))
          const outside = yield* all
          const first = yield* Stream.runCollect(Stream.take(rows, 1))
          const inside = yield* Effect.zipLeft(all, add("d")).pipe(Db.transaction)
          const failed = yield* Stream.runDrain(sql`SELECT nothing FROM note`.stream).pipe(Effect.either)
          return [[...outside], first.length, [...inside], Either.isLeft(failed), yield* bodies]
        }))
        expect(exit).toEqual(
          Exit.succeed([["a", "b", "c"], 1, ["a", "b", "c"], true, ["a", "b", "c", "d"]])
        )
      }))

    it.effect("a handle commits and rolls back by hand", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          const session = yield* Db.reserve
          yield* session.begin()
          yield* session.use(add("kept"))
          yield* session.commit
          yield* session.begin()
          yield* session.use(add("undone"))
          yield* session.rollback
          return yield* session.use(bodies)
        }))
        expect(exit).toEqual(Exit.succeed(["kept"]))
      }))

    it.effect("knows a transaction by hand behind a comment, too", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* Effect.gen(function*() {
            yield* sql.unsafe("/* a */ BEGIN")
            yield* add("undone")
            yield* sql.unsafe("-- b\n ROLLBACK")
          }).pipe(Db.session)
          yield* add("kept")
          return yield* bodies
        }))
        expect(exit).toEqual(Exit.succeed(["kept"]))
      }))

    it.effect("says that the sandbox is over when the code under test ends it", () =>
      Effect.gen(function*() {
        const { exit } = yield* sandboxed(Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe("INSERT INTO note (body) VALUES ('x'); COMMIT").unprepared.pipe(Effect.ignore)
          return yield* Effect.flip(Db.query("SELECT 1"))
        }))
        expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("ended by the code under test")
      }))

    it.effect("around a layer, everything that the layer opens is in the sandbox", () =>
      Effect.gen(function*() {
        const shared = yield* Layer.build(database())
        const { uri } = yield* Effect.provide(Db.info, shared)
        const again = name === "postgresql"
          ? Db.layer({ url: sharedPostgres().url, database: new URL(uri).pathname.slice(1) })
          : Db.layer({ type: "sqlite", filename: uri.replace("sqlite:", "") })
        const inside = yield* Effect.zipRight(add("x").pipe(Db.transaction), bodies).pipe(
          Effect.provide(DbTest.rollback(again))
        )
        expect(inside).toEqual(["x"])
        expect(yield* Effect.provide(bodies, shared)).toEqual([])
      }).pipe(Effect.scoped))
  })
}

describe("rollback", () => {
  suite(() => DbTest.sqlite({ migrations: tables, file: true }), describe, "sqlite")
  suite(
    () => DbTest.postgres({ url: sharedPostgres().url, migrations: tables, hash: "rollback.test", keep: "never" }),
    describePostgres,
    "postgresql"
  )

  it.effect("stands in for a named database", () =>
    Effect.gen(function*() {
      yield* Effect.zipRight(add("x").pipe(Other.session), Other.query("SELECT * FROM note")).pipe(
        Effect.provide(DbTest.sandboxOf(Other))
      )
      expect(yield* Other.query("SELECT * FROM note")).toEqual([])
    }).pipe(Effect.provide(DbTest.sqlite({ database: Other, migrations: tables }))))

  it.effect("gives its connection back", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Effect.provide(add("x").pipe(Db.transaction), DbTest.sandboxOf(Db)),
        { discard: true }
      )
      expect(yield* Db.pool).toMatchObject({ inUse: 0, waiting: 0 })
    }).pipe(Effect.provide(DbTest.sqlite({ migrations: tables }))))
})
