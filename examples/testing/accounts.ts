/**
 * A repository as an application has it: it knows `Db` and `SqlClient`, and nothing of tests. The tests beside it run it
 * on each layer of `DbTest`.
 */
import { SqlClient } from "@effect/sql"
import { Data, Effect, Schedule } from "effect"
import { Db, DbError } from "../../src/index.js"

export interface Account {
  readonly name: string
  readonly balance: number
}

export class NotEnough extends Data.TaggedError("NotEnough")<{ readonly name: string }> {}

export const open = (name: string, balance: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`INSERT INTO account ${sql.insert({ name, balance })}`
  }).pipe(Db.session)

export const all = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  return yield* sql<Account>`SELECT name, balance FROM account ORDER BY name`
}).pipe(Db.session)

/** Moves money, wholly or not at all; tried again when the database chose this transaction to give way. */
export const transfer = (payer: string, payee: string, amount: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`UPDATE account SET balance = balance + ${amount} WHERE name = ${payee}`
    yield* sql`UPDATE account SET balance = balance - ${amount} WHERE name = ${payer}`
    yield* sql`INSERT INTO transfer ${sql.insert({ payer, payee, amount })}`
  }).pipe(
    Db.transaction({ retry: Schedule.recurs(3) }),
    DbError.catchReason("CheckViolation", () => new NotEnough({ name: payer }))
  )

/** All transfers of each account: two queries, however many accounts there are. */
export const statements = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const accounts = yield* sql<Account>`SELECT name, balance FROM account ORDER BY name`
  const transfers = yield* sql<{ payer: string; payee: string; amount: number }>`
    SELECT payer, payee, amount FROM transfer WHERE ${sql.in("payer", accounts.map(({ name }) => name))}`
  return accounts.map((account) => ({
    ...account,
    paid: transfers.filter(({ payer }) => payer === account.name).map(({ amount, payee }) => ({ amount, payee }))
  }))
}).pipe(Db.session)
