/**
 * SQLite's foreign keys around a migration: set before BEGIN, because the pragma does nothing later, and looked after
 * before COMMIT. They go back with the rest of the session.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { ForeignKeys } from "./Arrangement.js"

/** What is to be asked before COMMIT. */
export interface Check {
  /** Rows without their parents that were not there before, in words. */
  readonly broken: Effect.Effect<ReadonlyArray<string>, SqlError>
}

const nothing: Check = { broken: Effect.succeed([]) }

interface Broken {
  readonly child: string
  readonly parent: string
  readonly n: number
}

const look = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql.unsafe<Broken>(
      "SELECT \"table\" AS child, parent, count(*) AS n FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2"
    ).unprepared,
    (rows) => new Map(rows.map((row) => [JSON.stringify([row.child, row.parent]), row]))
  )

/** Sets foreign keys as the file wants them. */
export const prepare = (wanted: ForeignKeys | undefined): Effect.Effect<Check, SqlError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    if (wanted === undefined) {
      return nothing
    }
    const client = yield* SqlClient.SqlClient
    const sql = client.withoutTransforms()
    // A key that does not fit its table is an error of the check itself, and may have been there before.
    const before = wanted.checked ? yield* Effect.option(look(sql)) : undefined
    yield* sql.unsafe(`PRAGMA foreign_keys = ${wanted.on ? "ON" : "OFF"}`).unprepared
    if (before === undefined || before._tag === "None") {
      return nothing
    }
    return {
      broken: Effect.map(
        look(sql),
        (now) =>
          [...now].filter(([key, { n }]) => n > (before.value.get(key)?.n ?? 0)).map(([, { child, n, parent }]) =>
            `${n} row${n === 1 ? "" : "s"} of ${child} refer${
              n === 1 ? "s" : ""
            } to rows of ${parent} that are not there`
          )
      )
    }
  })
