/** PostgreSQL inside the test's process: no server, one connection. */
import { NodeContext } from "@effect/platform-node"
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as DbTest from "../../src/DbTest.js"
import * as Accounts from "./accounts.js"
import { prepared } from "./database.js"

layer(DbTest.pglite(prepared).pipe(Layer.provide(NodeContext.layer)), { timeout: "2 minutes" })(
  "accounts on PGlite",
  (it) => {
    it.effect("refuses a payee that does not exist", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Accounts.transfer("ada", "nobody", 1))
        expect(error).toMatchObject({ reason: "ForeignKeyViolation", constraint: "transfer_payee_fkey" })
      }))
  }
)
