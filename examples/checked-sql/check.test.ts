// #region test
import { NodeContext } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import * as DbTest from "../../src/DbTest.js"
import { DbMigrator } from "../../src/index.js"

const root = fileURLToPath(new URL(".", import.meta.url))
const database = DbTest.sqlite({ migrations: DbMigrator.fromDirectory(`${root}/migrations/default`) })

it.effect("every statement fits the schema", () =>
  DbTest.check({ root, queries: "queries", tag: { name: "Db", module: "../../src/index.js" } }).pipe(
    Effect.provide(database.pipe(Layer.provide(NodeContext.layer)))
  ))
// #endregion
