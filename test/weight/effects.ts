/** A statement, a transaction and a pool of one connection, of which the tests here count what they take. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"

export const one = { size: 1, overflow: 0 }

export const select = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT ${1}::int AS n`)

export const transaction = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`SELECT n FROM t WHERE n = ${1}`
  yield* sql`UPDATE t SET n = n WHERE n = ${1}`
  yield* sql`INSERT INTO t (n) VALUES (${2})`
}).pipe(Db.transaction)
