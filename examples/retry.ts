/**
 * Retries that never apply twice. A transaction that conflicts with another is run again as a whole; an error whose
 * outcome is unknown is not, unless the effect is declared idempotent. Each retry is logged at debug.
 *
 *     npx tsx examples/retry.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Console, Effect, Either } from "effect"
// #region import
import { Db, DbError, DbRetry } from "../src/index.js"
// #endregion

let attempts = 0

/** Fails as a conflict would the first two times it is run: a stand-in for a concurrent transaction. */
const conflict = Effect.suspend(() =>
  ++attempts < 3
    ? Effect.fail(
      new DbError.QueryError({
        what: "could not serialize access due to concurrent update",
        reason: "Serialization",
        outcome: "RolledBack",
        database: "default"
      })
    )
    : Effect.void
)

const transfer = (from: string, to: string, amount: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`UPDATE account SET balance = balance - ${amount} WHERE name = ${from}`
    yield* conflict
    yield* sql`UPDATE account SET balance = balance + ${amount} WHERE name = ${to}`
  })

const program = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE account (name VARCHAR(20) NOT NULL PRIMARY KEY, balance INTEGER NOT NULL)")
  yield* Db.query("INSERT INTO account (name, balance) VALUES ('ada', 100), ('bob', 0)")

  // #region transaction
  // Run again as a whole: what the first two attempts did was undone with them.
  yield* transfer("ada", "bob", 30).pipe(Db.transaction({ retry: DbRetry.conflicts }))
  // #endregion
  const rows = yield* Db.query<{ name: string; balance: number }>("SELECT name, balance FROM account ORDER BY name")
  yield* Console.log(
    `${attempts} attempts, applied once: ${rows.map((row) => `${row.name} ${row.balance}`).join(", ")}`
  )

  // A violation stays one however often it is tried: it is not.
  const insert = Db.query("INSERT INTO account (name, balance) VALUES ('ada', 1)")
  const violated = yield* Effect.either(
    insert.pipe(Db.transaction({ retry: DbRetry.attempts(5, "10 millis", "1 second") }))
  )
  if (Either.isLeft(violated)) {
    yield* Console.log(`${violated.left.reason}: not retried (outcome ${violated.left.outcome})`)
  }

  // `insert.pipe(Db.retry)` does not compile: a statement whose answer was lost may have been applied. What may be
  // repeated whatever became of it has to be declared so.
  const upsert = Db.query("INSERT INTO account (name, balance) VALUES ('eve', 7) ON CONFLICT (name) DO NOTHING")
  let lost = 1
  yield* upsert.pipe(
    Effect.tap(() =>
      lost-- > 0
        ? Effect.fail(
          new DbError.ConnectionError({
            what: "the connection broke before the answer came",
            reason: "Lost",
            outcome: "Unknown",
            database: "default"
          })
        )
        : Effect.void
    ),
    Db.retry({ idempotent: true, schedule: DbRetry.attempts(3, "10 millis", "100 millis") })
  )
  const [eve] = yield* Db.query("SELECT COUNT(*) AS n FROM account WHERE name = 'eve'")
  yield* Console.log(`idempotent: repeated after an unknown outcome, ${Number(eve?.["n"])} row`)

  const { retries, transactions } = yield* Db.metrics
  yield* Console.log(`${retries} retries, ${transactions.committed} committed, ${transactions.rolledBack} rolled back`)
})

program.pipe(Effect.provide(Db.layer({ url: "sqlite://:memory:" })), NodeRuntime.runMain)
