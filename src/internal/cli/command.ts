/**
 * What all commands share: their beginning, their end, their folder.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as DbMigrator from "../../DbMigrator.js"
import type { Where } from "./database.js"
import { announce, showsPassword } from "./database.js"
import * as naming from "./naming.js"
import { exitCodes } from "./report.js"
import { warningText } from "./style.js"

/** How a command ended; read by the program's end. */
export const exit: { code: number } = { code: exitCodes.done }

/** Keeps the exit code for the program's end. */
export const end = <R>(work: Effect.Effect<number, never, R>): Effect.Effect<void, never, R> =>
  Effect.map(work, (code) => {
    exit.code = code
  })

/** Every user that may list processes sees a password among the arguments. */
const warnOfPassword = (where: Where) =>
  where.url !== undefined && showsPassword(where.url)
    ? Console.error(warningText(
      "every user of this machine can see the password in --url; leave it out and set DATABASE_PASSWORD, or use --password-file"
    ))
    : Effect.void

/** How each command about a database begins. */
export const begun = (where: Where) => Effect.zipRight(announce(where), warnOfPassword(where))

/** What the commands about migrations are given. */
export interface Common extends Where {
  readonly folder: string | undefined
  readonly table: string | undefined
  readonly placeholders: Readonly<Record<string, string>>
  readonly outOfOrder: boolean
  readonly target?: string | undefined
  readonly statementTimeout?: number | undefined
  readonly lockTimeout?: number | undefined
  readonly lockWait?: number | undefined
  readonly lock?: "session" | "none" | undefined
}

/** Where the migrations of a database are. */
export const folderOf = (given: { readonly folder: string | undefined; readonly database: string }): string =>
  given.folder ?? naming.folderOf(given.database)

/** The options of the migrator. */
export const migratorOptions = (given: Common) => ({
  migrations: DbMigrator.fromDirectory(folderOf(given)),
  table: given.table,
  placeholders: given.placeholders,
  outOfOrder: given.outOfOrder,
  target: given.target,
  statementTimeout: given.statementTimeout,
  lockTimeout: given.lockTimeout,
  lockWait: given.lockWait,
  lock: given.lock
})

/** `1 row`, `2 rows`. */
export const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`
