import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { childrenOf, hiding, orElse } from "../../src/internal/effect/configProvider.js"

const provider = ConfigProvider.fromMap(new Map([["A", "1"], ["B_C", "2"]]), { pathDelim: "_" })

describe("Effect's config providers", () => {
  it.effect("tell the names below a path", () =>
    Effect.gen(function*() {
      assert.sameMembers([...yield* childrenOf(provider, [])], ["A", "B"])
      assert.deepStrictEqual(yield* childrenOf(provider, ["B"]), ["C"])
    }))

  it.effect("have the names of both where one stands before another", () =>
    Effect.gen(function*() {
      const first = ConfigProvider.fromMap(new Map([["A", "0"], ["B_D", "3"]]), { pathDelim: "_" })
      const both = orElse(first, provider)
      assert.sameMembers([...yield* childrenOf(both, [])], ["A", "B"])
      assert.sameMembers([...yield* childrenOf(both, ["B"])], ["C", "D"])
      assert.strictEqual(yield* both.load(Config.string("A")), "0")
      assert.strictEqual(yield* both.load(Config.string("B_C")), "2")
    }))

  it.effect("miss what is hidden, and load the rest", () =>
    Effect.gen(function*() {
      const hidden = hiding(provider, (name) => Effect.succeed(name === "A"), "it is elsewhere")
      assert.strictEqual(yield* hidden.load(Config.string("B_C")), "2")
      const error = yield* Effect.flip(hidden.load(Config.string("A")))
      assert.isTrue(ConfigError.isMissingDataOnly(error))
      assert.include(String(error), "it is elsewhere")
      assert.deepStrictEqual(yield* hidden.load(Config.withDefault(Config.string("A"), "none")), "none")
    }))
})
