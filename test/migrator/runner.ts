/**
 * A process that runs migrations: `runner.ts URL FOLDER [hang]`. It writes a line of JSON for each event and for its
 * end; with `hang` it stays for ever in the first migration.
 */
import { NodeContext } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { writeSync } from "node:fs"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"

const [, , url, folder, hang] = process.argv
const say = (value: unknown) => Effect.sync(() => writeSync(1, `${JSON.stringify(value)}\n`))

void DbMigrator.run(Db, {
  migrations: DbMigrator.fromDirectory(folder!),
  onEvent: (event) =>
    Effect.zipRight(say(event), event._tag === "Started" && hang === "hang" ? Effect.never : Effect.void)
}).pipe(
  Effect.matchEffect({
    onSuccess: (result) => say({ _tag: "Success", ...result }),
    onFailure: (error) =>
      Effect.zipRight(say({ _tag: "Failure", message: error.message }), Effect.sync(() => process.exitCode = 1))
  }),
  Effect.provide(Layer.merge(Db.layer({ url: url!, environment: "test" }), NodeContext.layer)),
  Logger.withMinimumLogLevel(LogLevel.None),
  Effect.runPromise
)
