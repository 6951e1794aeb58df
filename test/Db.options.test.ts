import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as DbTest from "../src/DbTest.js"
import { Db } from "../src/index.js"

/** What plain JavaScript may pass. */
const untyped = (options: object): object => options

describe("options of a call", () => {
  it.effect("with a name that there is not are refused, with the one that was meant, and nothing is sent", () =>
    Effect.gen(function*() {
      const calls: ReadonlyArray<readonly [Effect.Effect<unknown, unknown, Db>, string]> = [
        [
          Db.query("SELECT 1", undefined, untyped({ timout: "1 second" })),
          "\"timout\" is no option of this call (is timeout meant?); accepted: timeout"
        ],
        [Db.script("SELECT 1", undefined, untyped({ timeOut: 1 })), "(is timeout meant?)"],
        [
          Db.transaction(Db.query("SELECT 1"), untyped({ readonly: true })),
          "\"readonly\" is no option of this call (is readOnly meant?)"
        ],
        [Db.query("SELECT 1").pipe(Db.transaction(untyped({ isolatoin: "serializable" }))), "(is isolation meant?)"],
        [
          Db.batch([["SELECT 1"]], untyped({ nothing: 1 })),
          "accepted: isolation, readOnly, deferrable, timeout, retry, resolveCommit"
        ],
        [
          Db.query("SELECT 1", undefined, untyped({ "secret value": 1 })),
          "a name of 12 characters is no option of this call"
        ]
      ]
      for (const [call, text] of calls) {
        const error = yield* Effect.flip(call)
        expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        expect(String(error)).toContain(text)
        expect(String(error)).not.toContain("secret value")
      }
      expect(yield* DbTest.statements).toEqual([])
      // Those that there are may hold `undefined`.
      yield* Db.query("SELECT 1", undefined, { timeout: undefined })
      yield* Db.transaction(Db.query("SELECT 1"), { isolation: undefined, readOnly: true, timeout: undefined })
    }).pipe(Effect.provide(DbTest.sqlite())))
})
