/**
 * What may be retried is a matter of types: `Db.retry` takes what is applied wholly or not at all. Checked by the
 * compiler, which fails on an expectation that is not met; that this file runs shows that it is not forgotten.
 */
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Db, DbRetry } from "../../src/index.js"

const insert = Db.query("INSERT INTO t VALUES (1)")
const transaction = insert.pipe(Db.transaction)

/** Never called: it is read by the compiler only. */
export const accepted = () => {
  transaction.pipe(Db.retry)
  transaction.pipe(Db.retry(DbRetry.conflicts))
  transaction.pipe(Db.retry(DbRetry.conflicts), Db.retry(DbRetry.classic))
  Db.batch([["INSERT INTO t VALUES (1)"]]).pipe(Db.retry)
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1`).pipe(Db.transaction, Db.retry(DbRetry.transient))
  insert.pipe(Db.transaction({ retry: DbRetry.attempts(5, "10 millis", "1 second") }))

  insert.pipe(Db.retry({ idempotent: true }))
  insert.pipe(Db.session, Db.retry({ idempotent: true, schedule: DbRetry.transient }))
  transaction.pipe(Effect.zipRight(transaction), Db.retry({ idempotent: true }))
}

export const refused = () => {
  // @ts-expect-error a statement may have been applied although its answer was lost
  insert.pipe(Db.retry)
  // @ts-expect-error so may a session's
  insert.pipe(Db.session, Db.retry(DbRetry.transient))
  // @ts-expect-error of two transactions the first may be applied when the second fails
  transaction.pipe(Effect.zipRight(transaction), Db.retry(DbRetry.transient))
  // @ts-expect-error what is done after the transaction would be done again with it
  transaction.pipe(Effect.tap(() => Effect.log("sent")), Db.retry)
  // @ts-expect-error to be declared it has to be true
  insert.pipe(Db.retry({ idempotent: false }))
  // @ts-expect-error a schedule alone declares nothing
  insert.pipe(Db.retry({ schedule: DbRetry.transient }))
  // @ts-expect-error an effect that has nothing to do with a database
  Effect.succeed(1).pipe(Db.retry)
}

describe("the type of Db.retry", () => {
  it("gives back what it takes", () => {
    const one = Db.query<{ readonly one: number }>("SELECT 1 AS one").pipe(Db.transaction, Db.retry)
    const typed: Effect.Effect<ReadonlyArray<{ readonly one: number }>, unknown, Db> = one
    assert.isTrue(Effect.isEffect(typed))
  })
})
