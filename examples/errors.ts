/**
 * Errors are three, each with a reason and an outcome. A unique violation is caught by its constraint.
 *
 *     npx tsx examples/errors.ts
 */
import { NodeRuntime } from "@effect/platform-node"
// #region imports
import { Console, Effect } from "effect"
import { Db, DbError } from "../src/index.js"
// #endregion

// #region catch
class EmailTaken extends Error {
  readonly _tag = "EmailTaken"
  constructor(readonly email: string) {
    super(`${email} is taken`)
  }
}

const signUp = (email: string) =>
  Db.query("INSERT INTO account (email) VALUES (:email)", { email }).pipe(
    Effect.asVoid,
    DbError.catchReason("UniqueViolation", (error) =>
      // The constraint is called account_email_key on PostgreSQL, account.email on SQLite.
      Effect.fail(error.constraint?.includes("email") === true ? new EmailTaken(email) : error))
  )
// #endregion

const program = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE account (email VARCHAR(100) NOT NULL UNIQUE)")
  yield* signUp("ada@example.org")
  yield* Console.log("signed up")

  const taken = yield* Effect.flip(signUp("ada@example.org"))
  yield* Console.log(`caught: ${taken._tag}: ${taken.message}`)

  const broken = yield* Effect.flip(Db.query("SELECT * FROM acount"))
  yield* Console.log(`${broken._tag} ${broken.reason}, outcome ${broken.outcome}: ${broken.message}`)
  yield* Console.log(`worth a retry: ${DbError.isRetryable(broken)}`)
})

program.pipe(Effect.provide(Db.layer({ url: "sqlite://:memory:" })), NodeRuntime.runMain)
