/** Errors are caught by their reason: what is caught is just that, what is not goes on as it was. */
import { SqlClient } from "@effect/sql"
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema, Stream } from "effect"
import { Db, DbError } from "../../src/index.js"
import { foreignError } from "../kit/sqlErrors.js"

const common = { what: "m", outcome: "RolledBack", database: "default" } as const
const query = (reason: DbError.QueryReason) => new DbError.QueryError({ ...common, reason })
const connection = (reason: DbError.ConnectionReason) => new DbError.ConnectionError({ ...common, reason })
const timeout = (phase: DbError.TimeoutPhase) => new DbError.TimeoutError({ ...common, phase, limitMillis: 1 })

const errors: ReadonlyArray<DbError.DbError> = [
  ...Object.keys(DbError.connectionReasons).map((reason) => connection(reason as DbError.ConnectionReason)),
  ...Object.keys(DbError.queryReasons).map((reason) => query(reason as DbError.QueryReason)),
  ...Object.keys(DbError.timeoutPhases).map((phase) => timeout(phase as DbError.TimeoutPhase))
]
const labelOf = (error: DbError.DbError) => `${error._tag}.${error.reason}` as DbError.ReasonLabel

const failing = (error: DbError.DbError): Effect.Effect<string, DbError.DbError> => Effect.fail(error)

const table = Db.layer({ url: "sqlite://:memory:" })
const make = Db.query("CREATE TABLE tag (name TEXT NOT NULL UNIQUE CHECK (name <> 'bad'))")
const add = (name: string | null) => Db.query("INSERT INTO tag VALUES (:name)", { name })

describe("catchReason", () => {
  it.effect("catches each reason by its label, and nothing else by that", () =>
    Effect.forEach(errors, (error) =>
      Effect.forEach(errors, (other) =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(
            failing(error).pipe(DbError.catchReason(labelOf(other), (caught) => Effect.succeed(labelOf(caught))))
          )
          const expected: Exit.Exit<string, DbError.DbError> = labelOf(error) === labelOf(other)
            ? Exit.succeed(labelOf(error))
            : Exit.fail(error)
          assert.deepStrictEqual(exit, expected)
        }))))

  it.effect("catches by the short name, several, data-first", () =>
    Effect.gen(function*() {
      const caught = DbError.catchReason(
        failing(timeout("Lock")),
        "UniqueViolation",
        "Lock",
        "Lost",
        ({ _tag, reason }) => Effect.succeed(`${_tag} ${reason}`)
      )
      assert.strictEqual(yield* caught, "TimeoutError Lock")
      const left = DbError.catchReason(failing(query("LockConflict")), "Lock", "Closed", () => Effect.succeed("no"))
      assert.deepStrictEqual(yield* Effect.flip(left), query("LockConflict"))
    }))

  it.effect("leaves a defect, with another failure beside it", () =>
    Effect.gen(function*() {
      const both = Cause.parallel(Cause.fail(query("SqlSyntax")), Cause.die("beside it"))
      const effect: Effect.Effect<string, DbError.DbError> = Effect.failCause(both)
      const exit = yield* Effect.exit(
        effect.pipe(DbError.catchReason("UniqueViolation", () => Effect.succeed("caught")))
      )
      assert.include([...Cause.defects(Exit.isFailure(exit) ? exit.cause : Cause.empty)], "beside it")
    }))

  it.effect("leaves defects, interrupts and other failures", () =>
    Effect.gen(function*() {
      const causes: ReadonlyArray<Cause.Cause<DbError.DbError>> = [
        Cause.die(query("UniqueViolation")),
        Cause.fail(undefined as never),
        Cause.fail(Object.assign(new Error(), { _tag: "QueryError", reason: "UniqueViolation" }) as never)
      ]
      for (const cause of causes) {
        const effect: Effect.Effect<string, DbError.DbError> = Effect.failCause(cause)
        const caught = effect.pipe(DbError.catchReason("UniqueViolation", () => Effect.succeed("caught")))
        const exit: Exit.Exit<string, DbError.DbError> = yield* Effect.exit(caught)
        assert.deepStrictEqual(exit, Exit.failCause(cause))
      }
    }))

  it.effect("in a database: the reason that there was, and only that", () =>
    Effect.gen(function*() {
      yield* make
      const isNew = (name: string | null) =>
        add(name).pipe(
          Effect.as("new"),
          DbError.catchReason("UniqueViolation", ({ constraint }) => Effect.succeed(constraint))
        )
      assert.strictEqual(yield* isNew("a"), "new")
      assert.strictEqual(yield* isNew("a"), "tag.name")
      assert.strictEqual((yield* Effect.flip(isNew("bad"))).reason, "CheckViolation")
      assert.strictEqual((yield* Effect.flip(isNew(null))).reason, "NotNullViolation")
    }).pipe(Effect.provide(table)))

  it.effect("looks behind the SqlError of a session's body, which else stays what it is", () =>
    Effect.gen(function*() {
      yield* make
      const sql = yield* SqlClient.SqlClient
      const body = (name: string | null) =>
        sql`INSERT INTO tag ${sql.insert({ name })}`.pipe(
          Effect.as("new"),
          DbError.catchReason("UniqueViolation", ({ _tag, constraint }) => Effect.succeed(`${_tag} ${constraint}`))
        )
      assert.strictEqual(yield* Effect.zipRight(body("a"), body("a")).pipe(Db.transaction), "QueryError tag.name")
      assert.instanceOf(yield* Effect.flip(body(null)), SqlError)
      const typed = yield* Effect.flip(body(null).pipe(Db.session))
      assert.deepStrictEqual([typed._tag, typed.reason], ["QueryError", "NotNullViolation"])
      // One that did not come from here has no reason that could be known.
      const foreign = foreignError("c", "m")
      const left = Effect.fail(foreign).pipe(
        DbError.catchReason("QueryError.Unknown", "UniqueViolation", () => Effect.succeed("caught"))
      )
      assert.strictEqual(yield* Effect.flip(left), foreign)
    }).pipe(Effect.provide(table)))

  it.effect("catches what came over a wire", () =>
    Effect.forEach(errors, (error) =>
      Effect.gen(function*() {
        const wire: unknown = JSON.parse(JSON.stringify(yield* Schema.encode(DbError.DbError)(error)))
        const decoded = yield* Schema.decodeUnknown(DbError.DbError)(wire)
        assert.strictEqual(
          yield* failing(decoded).pipe(
            DbError.catchReason(labelOf(error), (caught) => Effect.succeed(labelOf(caught)))
          ),
          labelOf(error)
        )
      })))

  it.effect("of a stream: goes on with another, behind what was given", () =>
    Effect.gen(function*() {
      const broken = (error: DbError.DbError): Stream.Stream<number, DbError.DbError> =>
        Stream.concat(Stream.make(1, 2), Stream.fail(error))
      const caught = broken(connection("Lost")).pipe(
        DbError.catchReasonStream("Lost", "Statement", ({ reason }) => Stream.make(reason))
      )
      assert.deepStrictEqual(Array.from(yield* Stream.runCollect(caught)), [1, 2, "Lost"])
      const left = DbError.catchReasonStream(broken(query("DataError")), "Lost", () => Stream.empty)
      assert.deepStrictEqual(yield* Effect.flip(Stream.runDrain(left)), query("DataError"))

      yield* make
      const sql = yield* SqlClient.SqlClient
      const rows = (from: string) =>
        sql`SELECT name FROM ${sql.literal(from)}`.stream.pipe(
          DbError.catchReasonStream("UndefinedObject", ({ _tag }) => Stream.succeed({ name: _tag }))
        )
      yield* add("a")
      const all = Stream.runCollect(Stream.concat(rows("tag"), rows("nowhere")))
      assert.deepStrictEqual(Array.from(yield* all), [{ name: "a" }, { name: "QueryError" }])
    }).pipe(Effect.provide(table)))
})

describe("is", () => {
  it("says yes to just its reasons", () => {
    for (const error of errors) {
      for (const other of errors) {
        assert.strictEqual(DbError.is(labelOf(other))(error), labelOf(other) === labelOf(error))
      }
    }
    assert.isTrue(DbError.is("UniqueViolation", "Lock")(timeout("Lock")))
    assert.isFalse(DbError.is("Closed")(timeout("Close")))
    for (const none of [undefined, null, "UniqueViolation", {}, foreignError(0), { _tag: "QueryError" }]) {
      assert.isFalse(DbError.is("UniqueViolation")(none))
    }
    // What stands behind a SqlError is not what it is.
    assert.isFalse(DbError.is("UniqueViolation")(DbError.toSqlError(query("UniqueViolation"))))
  })

  it.effect("is a guard for catchIf that leaves the other reasons where they are", () =>
    Effect.gen(function*() {
      const caught = (error: DbError.DbError) =>
        failing(error).pipe(Effect.catchIf(DbError.is("UniqueViolation"), ({ reason }) => Effect.succeed(reason)))
      assert.strictEqual(yield* caught(query("UniqueViolation")), "UniqueViolation")
      assert.deepStrictEqual(yield* Effect.flip(caught(query("Deadlock"))), query("Deadlock"))
    }))
})
