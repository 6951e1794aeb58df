/**
 * What COMMIT would check, asked for without one.
 */
import type { Dialect } from "@effect/sql/Statement"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { classify } from "../driver/sqlite/codes.js"
import { toError } from "../driver/sqlite/errors.js"
import { withFields } from "../error/classes.js"
import { head, wordSet } from "../sql/classify.js"
import { ask } from "./decorate.js"

/** Makes PostgreSQL check what it would check at COMMIT. */
export const checkNow = "SET CONSTRAINTS ALL IMMEDIATE"

/** What a database's constraints say that are checked at COMMIT only. `undefined`: nothing stands in the way. */
export const checkDeferred = (
  driver: Driver.Driver,
  database: string,
  connection: Driver.Connection,
  /** Rows that referred to nothing before; SQLite only. */
  before: ReadonlySet<string>,
  done: (error: DbError | undefined) => void
): void => {
  switch (driver.target.system) {
    case "postgresql":
      return ask(connection, checkNow, (error) => done(error))
    case "sqlite":
      return orphans(connection, (error, rows) => {
        const isViolated = rows.some((row) => !before.has(row))
        done(
          error ?? (isViolated
            ? toError(classify(
              { database, text: driver.transaction.commit },
              Object.assign(new Error("FOREIGN KEY constraint failed"), { code: "SQLITE_CONSTRAINT_FOREIGNKEY" })
            ))
            : undefined)
        )
      })
    default:
      return done(undefined)
  }
}

/** SQLite's rows that refer to nothing, where it minds. */
export const orphans = (
  connection: Driver.Connection,
  done: (error: DbError | undefined, rows: ReadonlyArray<string>) => void
): void =>
  ask(connection, "PRAGMA foreign_keys", (error, [row]) => {
    if (error !== undefined || Number(row?.[0]) !== 1) {
      return done(error, [])
    }
    ask(connection, "PRAGMA foreign_key_check", (error, rows) => done(error, rows.map((row) => row.join("|"))))
  })

/** What a check of ours says, as COMMIT would say it. */
export const asCommit = (error: DbError, statement: string): DbError =>
  error._tag === "QueryError" ? withFields(error, { outcome: "RolledBack", statement }) : error

const reading = wordSet("select values show explain")

/** Reading leaves nothing to be checked, unless it calls a function. */
export const mayWrite = (connection: Driver.Connection, text: string, dialect: Dialect): boolean =>
  connection.writes(text) && (text.includes("(") || !reading.has(head(text, dialect, 1)[0] ?? ""))
