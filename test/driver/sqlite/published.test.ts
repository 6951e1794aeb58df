/** The client is the published one of `@effect/sql-sqlite-node`. */
import { describe, it } from "@effect/vitest"
import { strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as Sqlite from "../../../src/driver/Sqlite.js"
import { moduleName } from "../../kit/sqlite.js"
import { openClient, places } from "./harness.js"

const alone = moduleName.startsWith("node:")
  ? " (@effect/sql-sqlite-node loads better-sqlite3, which is not installed)"
  : ""

describe.each(places)("SqliteClient, %s", (_, workers) => {
  it.scoped.skipIf(alone !== "")(`is the published service${alone}`, () =>
    Effect.gen(function*() {
      const { client } = yield* openClient({ workers })
      const published = yield* Effect.promise(() => import("@effect/sql-sqlite-node"))
      strictEqual(Sqlite.SqliteClient.key, published.SqliteClient.SqliteClient.key)
      strictEqual(client[published.SqliteClient.TypeId], published.SqliteClient.TypeId)
    }))
})
