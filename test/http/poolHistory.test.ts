/** The pools of the last ten minutes, as the status page's chart gets them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import { registry as opened } from "../../src/DbMetrics.js"
import * as DbRegistry from "../../src/DbRegistry.js"
import { type Databases, ofRegistry, ofTags } from "../../src/internal/http/databases.js"
import * as History from "../../src/internal/http/history.js"
import { fakeDb } from "../kit/fakeDb.js"

/** Called as a database of the registry is. */
class Tenant extends Db.Tag("tenant")<Tenant>() {}

const sampled = (databases: Databases) =>
  Effect.map(History.make(databases), (history) => (since = 0) => history.since(databases.all[0]!, since))

describe("the history of a pool", () => {
  it.scoped("has a sample every two seconds for the last ten minutes, and never more", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb()
      const context = yield* Layer.build(layer)
      const since = yield* sampled(yield* Effect.provide(ofTags([Db]), context))
      yield* TestClock.adjust("5 seconds")
      const idle = yield* since()
      assert.deepStrictEqual(idle.map(({ at, inUse }) => [at, inUse]), [[2_000, 0], [4_000, 0]])
      yield* Effect.gen(function*() {
        yield* TestClock.adjust("4 seconds")
      }).pipe(Db.session, Effect.provide(context))
      assert.deepStrictEqual((yield* since(4_000)).map(({ at, inUse }) => [at, inUse]), [[6_000, 1], [8_000, 1]])
      assert.isAbove(idle[0]!.capacity, 0)

      yield* TestClock.adjust("20 minutes")
      const all = yield* since()
      assert.lengthOf(all, 300)
      assert.isAbove(all[0]!.at, 1_209_000 - 600_000)
      assert.strictEqual(all.at(-1)!.at, 1_208_000)
    }))

  it.scoped("is that of an open database: a registry's is neither opened nor kept open for it", () =>
    Effect.gen(function*() {
      const registry = DbRegistry.layer({ tenant: { url: "sqlite://:memory:" } }, { idleTimeToLive: "1 minutes" })
      const context = yield* Layer.build(registry)
      const since = yield* sampled(yield* Effect.provide(ofRegistry, context))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* since(), [])
      assert.isUndefined(opened.snapshot("tenant"))
      const { use } = yield* Effect.provide(DbRegistry.DbRegistry, context)
      yield* use("tenant")(Db.query("SELECT 1"))
      yield* TestClock.adjust("30 seconds")
      const open = yield* since()
      assert.isAtLeast(open.length, 14)
      yield* TestClock.adjust("10 minutes")
      assert.isUndefined(opened.snapshot("tenant"))
      // What is older than ten minutes is not told, though nothing has followed it.
      assert.isBelow((yield* since()).length, 31)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* since(), [])
    }))

  it.scoped("is not that of another database of the same name", () =>
    Effect.gen(function*() {
      const registry = DbRegistry.layer({ tenant: { url: "sqlite://:memory:", pool: { size: 3, overflow: 0 } } })
      const context = yield* Layer.build(registry)
      const since = yield* sampled(yield* Effect.provide(ofRegistry, context))
      const { use } = yield* Effect.provide(DbRegistry.DbRegistry, context)
      const open = (size: number) =>
        Layer.build(Tenant.layer({ url: "sqlite://:memory:", pool: { size, overflow: 0 } }))
      yield* open(1)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* since(), [])
      const own = yield* use("tenant")(Db.pool)
      yield* open(5)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([...new Set((yield* since()).map(({ capacity }) => capacity))], [own.capacity])
    }))

  it.scoped("ends with its scope", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb()
      const context = yield* Layer.build(layer)
      const scope = yield* Scope.make()
      const since = yield* sampled(yield* Effect.provide(ofTags([Db]), context)).pipe(Scope.extend(scope))
      yield* TestClock.adjust("2 seconds")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* since()).at(-1)?.at, 2_000)
    }))
})
