/**
 * A process that runs migrations: `runner.ts FOLDER [--hang] [--spread MILLIS] [--lock none] URL...`. It runs them on every URL at the
 * same time, each begun after a random part of MILLIS, and writes a line of JSON for each event and for each end. With
 * `--hang` it stays for ever in the first migration.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { writeSync } from "node:fs"
import { parseArgs } from "node:util"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"

const { positionals: [folder, ...urls], values: { hang, lock, spread } } = parseArgs({
  allowPositionals: true,
  options: {
    hang: { type: "boolean", default: false },
    spread: { type: "string", default: "0" },
    lock: { type: "string", default: "session" }
  }
})

const say = (value: unknown) => Effect.sync(() => writeSync(1, `${JSON.stringify(value)}\n`))

const run = (url: string) =>
  DbMigrator.run(Db, {
    migrations: DbMigrator.fromDirectory(folder!),
    lock: lock === "none" ? "none" : "session",
    onEvent: (event) => Effect.zipRight(say(event), event._tag === "Started" && hang ? Effect.never : Effect.void)
  }).pipe(
    Effect.delay(Math.random() * Number(spread)),
    Effect.matchEffect({
      onSuccess: (result) => say({ _tag: "Success", ...result }),
      onFailure: (error) =>
        Effect.zipRight(say({ _tag: "Failure", message: error.message }), Effect.sync(() => process.exitCode = 1))
    }),
    Effect.provide(Layer.fresh(Db.layer({ url, environment: "test" })))
  )

void Effect.forEach(urls, run, { concurrency: "unbounded", discard: true }).pipe(
  Effect.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer)),
  Logger.withMinimumLogLevel(LogLevel.None),
  Effect.runPromise
)
