/**
 * A private PostgreSQL database per suite, copied from a template: on the server of `TEST_POSTGRES_URL`, or on one that is
 * started for the run.
 */
import { NodeContext } from "@effect/platform-node"
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { inject } from "vitest"
import * as DbTest from "../../src/DbTest.js"
import * as Accounts from "./accounts.js"
import { prepared } from "./database.js"

// This repository's own tests share a server already; an application leaves `url` out.
const postgres = DbTest.postgres({ ...prepared, url: inject("postgresUrl") }).pipe(Layer.provide(NodeContext.layer))

layer(postgres)("accounts on PostgreSQL", (it) => {
  it.effect("transfers that cross each other both succeed", () =>
    Effect.gen(function*() {
      yield* Effect.all([Accounts.transfer("ada", "grace", 5), Accounts.transfer("grace", "ada", 5)], {
        concurrency: 2
      })
      expect(yield* Accounts.all).toEqual([{ name: "ada", balance: 100 }, { name: "grace", balance: 20 }])
    }))
})
