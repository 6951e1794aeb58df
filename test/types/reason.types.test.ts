/**
 * What a program that handles errors by their reason can still fail with. Checked by the compiler (`npm run check`), which
 * fails on an expectation that is not met; that this file runs shows that it is not forgotten.
 */
import { SqlClient, type SqlError } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema, Stream } from "effect"
import { Db, DbError } from "../../src/index.js"

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** Accepts an effect (or a stream, which has the same parameters) whose `A` and `E` are exactly these. */
const exactly = <A, E>() =>
<A2, E2, R2>(
  _:
    & (Effect.Effect<A2, E2, R2> | Stream.Stream<A2, E2, R2>)
    & ([Same<A, A2>, Same<E, E2>] extends [true, true] ? unknown : { readonly "is not": [A, E] })
) => undefined

/** Accepts what is of exactly this type. */
const is = <A>() => <A2>(_: A2 & (Same<A, A2> extends true ? unknown : { readonly "is not": A })) => undefined

/** Accepts what cannot fail. */
declare const never: <A>(effect: Effect.Effect<A, never, Db>) => void

declare const insert: Effect.Effect<number, DbError.DbError, Db>
declare const business: Effect.Effect<number, DbError.DbError | "no money", Db>
declare const statement: Effect.Effect<number, SqlError.SqlError, SqlClient.SqlClient>
declare const rows: Stream.Stream<number, DbError.DbError>

const others = {
  ConnectionError: () => Effect.succeed("no connection" as const),
  TimeoutError: () => Effect.succeed("no time" as const)
}

/** Never called: it is read by the compiler only. */
export const oldIdiom = () => {
  // A guard written by hand is believed: it says "every QueryError", whatever it looks at. This is why there is `DbError.is`.
  never(insert.pipe(
    Effect.catchIf(
      (error): error is DbError.QueryError => error._tag === "QueryError" && error.reason === "UniqueViolation",
      () => Effect.succeed("taken" as const)
    ),
    Effect.catchTags(others)
  ))

  const guarded = insert.pipe(
    Effect.catchIf(DbError.is("UniqueViolation"), () => Effect.succeed("taken" as const)),
    Effect.catchTags(others)
  )
  exactly<number | "taken" | "no connection" | "no time", DbError.QueryError>()(guarded)
  // @ts-expect-error in the place of the guard by hand, the other reasons of a QueryError stay
  never(guarded)

  const caught = insert.pipe(
    DbError.catchReason("UniqueViolation", () => Effect.succeed("taken" as const)),
    Effect.catchTags(others)
  )
  exactly<number | "taken" | "no connection" | "no time", DbError.QueryErrorWithout<"UniqueViolation">>()(caught)
  // @ts-expect-error and so they do here
  never(caught)
  // A condition without a guard claims nothing.
  exactly<number, DbError.DbError>()(
    insert.pipe(
      Effect.catchIf(
        (error) => error._tag === "QueryError" && error.reason === "UniqueViolation",
        () => Effect.succeed(1)
      )
    )
  )

  // The handler knows what it has.
  insert.pipe(Effect.catchIf(DbError.is("UniqueViolation"), ({ constraint, reason }) => {
    const only: "UniqueViolation" = reason
    return Effect.succeed([constraint, only])
  }))
}

export const exact = () => {
  // One reason, several, of several errors; in a pipe and data-first.
  exactly<
    number | "taken",
    DbError.ConnectionError | DbError.TimeoutError | DbError.QueryErrorWithout<"UniqueViolation">
  >()(
    DbError.catchReason(insert, "UniqueViolation", () => Effect.succeed("taken" as const))
  )
  exactly<
    number,
    | "no money"
    | DbError.ConnectionErrorWithout<"Unknown">
    | DbError.QueryErrorWithout<"UniqueViolation" | "ForeignKeyViolation">
    | DbError.TimeoutErrorWithout<"Lock">
  >()(
    business.pipe(
      DbError.catchReason(
        "UniqueViolation",
        "ForeignKeyViolation",
        "ConnectionError.Unknown",
        "TimeoutError.Lock",
        (error) => {
          is<
            | DbError.ConnectionErrorOf<"Unknown">
            | DbError.QueryErrorOf<"UniqueViolation" | "ForeignKeyViolation">
            | DbError.TimeoutErrorOf<"Lock">
          >()(error)
          return Effect.succeed(1)
        }
      )
    )
  )
  // Both forms of a label are one reason.
  exactly<number, DbError.DbError | "no money">()(
    DbError.catchReason(business, "QueryError.UniqueViolation", (error) => Effect.fail(error)).pipe(
      Effect.mapError((error): DbError.DbError | "no money" => error)
    )
  )

  // Several calls add up, and the order does not matter.
  type Left =
    | DbError.ConnectionError
    | DbError.TimeoutError
    | DbError.QueryErrorWithout<"UniqueViolation" | "CheckViolation">
  const zero = () => Effect.succeed(0)
  exactly<number, Left>()(
    insert.pipe(DbError.catchReason("UniqueViolation", zero), DbError.catchReason("CheckViolation", zero))
  )
  exactly<number, Left>()(
    insert.pipe(DbError.catchReason("CheckViolation", zero), DbError.catchReason("QueryError.UniqueViolation", zero))
  )

  // What the handler fails with is there again, no more.
  exactly<
    number,
    | DbError.ConnectionError
    | DbError.TimeoutError
    | DbError.QueryErrorWithout<"UniqueViolation">
    | DbError.QueryErrorOf<"UniqueViolation">
  >()(insert.pipe(DbError.catchReason("UniqueViolation", (error) => Effect.fail(error))))

  // `catchTag` goes on, and what is written down as before still holds.
  exactly<number, DbError.ConnectionError | DbError.TimeoutError>()(
    insert.pipe(DbError.catchReason("UniqueViolation", zero), Effect.catchTag("QueryError", zero))
  )
  const written: Effect.Effect<number, DbError.DbError, Db> = insert.pipe(DbError.catchReason("UniqueViolation", zero))
  exactly<number, DbError.DbError>()(written)
  // So does the next boundary.
  exactly<number, DbError.DbError>()(
    statement.pipe(Db.session, DbError.catchReason("UniqueViolation", zero), Db.transaction, Effect.map((n) => n + 1))
      .pipe(
        Effect.mapError((error): DbError.DbError => error)
      )
  )

  // The last reason takes the error with it.
  const all = insert.pipe(
    Effect.catchTags({ ...others, QueryError: zero }),
    Effect.zipRight(Effect.fail("x" as const)),
    Effect.catchAll(() => Effect.fail(undefined as unknown as DbError.TimeoutErrorOf<"Lock" | "Acquire">)),
    DbError.catchReason("Lock", zero),
    DbError.catchReason("Acquire", zero)
  )
  never(all)

  // Streams.
  exactly<number, DbError.ConnectionError | DbError.TimeoutError | DbError.QueryErrorWithout<"UndefinedObject">>()(
    rows.pipe(DbError.catchReasonStream("UndefinedObject", () => Stream.empty))
  )
  exactly<
    number | "late",
    DbError.ConnectionErrorWithout<"Lost"> | DbError.QueryError | DbError.TimeoutErrorWithout<"Statement">
  >()(
    DbError.catchReasonStream(rows, "Statement", "Lost", () => Stream.succeed("late" as const))
  )

  // Behind a SqlError any reason may stand, so it stays.
  exactly<number, SqlError.SqlError>()(
    statement.pipe(DbError.catchReason("UniqueViolation", ({ constraint, reason }) => {
      const only: "UniqueViolation" = reason
      return Effect.succeed(only.length + (constraint ?? "").length)
    }))
  )
  exactly<number, DbError.DbError>()(statement.pipe(DbError.catchReason("UniqueViolation", zero), Db.transaction))

  // Over a wire it is the same class.
  const schema: Schema.Schema<DbError.QueryError, any> = DbError.QueryError
  return schema
}

/** Around an effect of any kind. */
const around = <A, E, R>(effect: Effect.Effect<A, E | DbError.DbError, R>) =>
  effect.pipe(DbError.catchReason("UniqueViolation", () => Effect.succeed("taken" as const)))

export const generic = () => {
  exactly<
    number | "taken",
    "no money" | DbError.ConnectionError | DbError.TimeoutError | DbError.QueryErrorWithout<"UniqueViolation">
  >()(around(business))
}

export const refused = () => {
  const zero = () => Effect.succeed(0)
  // @ts-expect-error no reason of that name
  insert.pipe(DbError.catchReason("UniqeViolation", zero))
  // @ts-expect-error two errors have this one: "QueryError.Unknown" or "ConnectionError.Unknown"
  insert.pipe(DbError.catchReason("Unknown", zero))
  // @ts-expect-error nor is it told by its short name
  DbError.is("Authorization")
  // @ts-expect-error no reason of this error
  insert.pipe(DbError.catchReason("QueryError.Lost", zero))
  // @ts-expect-error it was caught already
  insert.pipe(DbError.catchReason("UniqueViolation", zero), DbError.catchReason("UniqueViolation", zero))
  // @ts-expect-error nothing of a database can fail here
  Effect.fail("no money").pipe(DbError.catchReason("UniqueViolation", zero))
  // @ts-expect-error no reason is given
  insert.pipe(DbError.catchReason(zero))
  // @ts-expect-error a guard for no reason
  DbError.is()
}

describe("the types of what is caught by its reason", () => {
  it("are checked by the compiler", () => {
    assert.isFunction(oldIdiom)
    assert.isFunction(exact)
    assert.isFunction(generic)
    assert.isFunction(refused)
    assert.isFunction(SqlClient.make)
  })
})
