/**
 * A program for Node's permission model: `extensionUnderPermissions.ts FILE` loads an extension into Node's own SQLite, and writes
 * how that ended.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Db } from "../../../src/Db.js"
import { fromSqlError } from "../../../src/DbError.js"
import * as Sqlite from "../../../src/driver/Sqlite.js"

const [filename = ""] = process.argv.slice(2)

const ended = await Sqlite.SqliteClient.pipe(
  Effect.flatMap((sqlite) => Effect.flip(sqlite.loadExtension("/none"))),
  Effect.zipWith(Db.query("SELECT 1 AS n"), (error, rows) => [fromSqlError(error, "default").reason, rows]),
  Effect.provide(Sqlite.withClient(Db.layer({ type: "sqlite", filename, sqliteModule: "node:sqlite" }))),
  Logger.withMinimumLogLevel(LogLevel.None),
  Effect.runPromise
)
process.stdout.write(JSON.stringify(ended))
