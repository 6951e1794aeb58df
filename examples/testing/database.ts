/** The databases of the tests: each has the application's own migrations. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import * as DbTest from "../../src/DbTest.js"
import { DbMigrator } from "../../src/index.js"
import * as Accounts from "./accounts.js"

export const prepared = {
  migrations: DbMigrator.fromDirectory(fileURLToPath(new URL("./migrations", import.meta.url))),
  seed: Effect.zipRight(Accounts.open("ada", 100), Accounts.open("grace", 20))
}

export const sqlite = DbTest.sqlite(prepared).pipe(Layer.provide(NodeContext.layer))
