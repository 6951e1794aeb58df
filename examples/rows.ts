/**
 * Rows as they are asked for: decoded by a schema, one of them, a value, and what a statement has written.
 *
 *     npx tsx examples/rows.ts
 */
// #region schema
import { NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Console, Effect, Option, Schema } from "effect"
import { Db, DbError, DbSchema } from "../src/index.js"

class Account extends Schema.Class<Account>("Account")({
  id: DbSchema.Int,
  email: Schema.String,
  balance: DbSchema.Decimal,
  active: DbSchema.Boolean
}) {}

const columns = "SELECT id, email, balance, active FROM account"

const active = Db.query(`${columns} WHERE active = :active ORDER BY id`, { active: true }, { schema: Account })
const byIds = (ids: ReadonlyArray<number>) => Db.query(`${columns} WHERE id IN (:ids)`, { ids }, { schema: Account })
const byId = (id: number) => Db.one(`${columns} WHERE id = :id`, { id }, { schema: Account })
const byEmail = (email: string) => Db.option(`${columns} WHERE email = :email`, { email }, { schema: Account })
const count = Db.scalar("SELECT count(*) FROM account", {}, { schema: DbSchema.Count })
// #endregion

// #region execute
const deactivate = (id: number) =>
  Db.execute("UPDATE account SET active = :active WHERE id = :id", { active: false, id }).pipe(
    Effect.map(({ rowsAffected }) => rowsAffected === 1)
  )

const signUp = (email: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // A statement of `sql` does as well as a text.
    const { lastInsertId } = yield* Db.execute(
      sql`INSERT INTO account ${sql.insert({ email, balance: "10.50", active: true })}`
    )
    return lastInsertId
  })
// #endregion

const program = Effect.gen(function*() {
  yield* Db.query(
    "CREATE TABLE account (id INTEGER PRIMARY KEY, email TEXT NOT NULL, balance TEXT NOT NULL, active INTEGER NOT NULL)"
  )
  yield* Console.log(`signed up: ${yield* signUp("ada@example.org")}, ${yield* signUp("bob@example.org")}`)
  yield* Console.log(`deactivated: ${yield* deactivate(2)}, ${yield* deactivate(3)}`)
  yield* Console.log(`${yield* count} accounts, active: ${(yield* active).map(({ email }) => email).join()}`)
  yield* Console.log(`of a list: ${(yield* byIds([1, 2, 7])).length}, of an empty one: ${(yield* byIds([])).length}`)
  yield* Console.log(`by email: ${Option.isSome(yield* byEmail("ada@example.org"))}`)
  const missing = yield* byId(7).pipe(DbError.catchReason("NotFound", () => Effect.succeed("no account 7")))
  yield* Console.log(missing)
  yield* Db.query("UPDATE account SET active = 5 WHERE id = 1")
  const refused = yield* Effect.flip(byId(1))
  yield* Console.log(refused.message)
})

program.pipe(Effect.provide(Db.layer({ url: "sqlite://:memory:" })), NodeRuntime.runMain)
