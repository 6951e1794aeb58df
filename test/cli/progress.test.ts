import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { MigrationEvent } from "../../src/DbMigrator.js"
import * as Progress from "../../src/internal/cli/progress.js"
import * as Text from "../../src/internal/cli/text.js"

const events: ReadonlyArray<MigrationEvent> = [
  { _tag: "Waiting", holder: "process 7" },
  { _tag: "Started", script: "V1__a.sql", index: 1, total: 2, transaction: true },
  { _tag: "Statement", script: "V1__a.sql", count: 1, line: 1 },
  { _tag: "Ended", script: "V1__a.sql", index: 1, total: 2, millis: 1234 },
  { _tag: "Started", script: "V2__b.sql", index: 2, total: 2, transaction: true },
  { _tag: "Ended", script: "V2__b.sql", index: 2, total: 2, millis: 5 }
]

const shown = (isTTY: boolean) =>
  Effect.gen(function*() {
    let text = ""
    yield* Effect.scoped(Effect.flatMap(
      Progress.make({ isTTY, columns: 60, write: (more) => text += more }),
      (tell) => Effect.forEach(events, tell, { discard: true })
    ))
    return text
  })

describe("the progress of the command", () => {
  it.effect("plain lines where there is no terminal", () =>
    Effect.map(shown(false), (text) =>
      expect(text).toBe(
        "waiting for another runner: process 7\n1/2 V1__a.sql ...\n1/2 V1__a.sql done in 1.2 s\n2/2 V2__b.sql ...\n2/2 V2__b.sql done in 5 ms\n"
      )))

  it.effect("a bar on a terminal, drawn over itself and gone at the end", () =>
    Effect.map(shown(true), (text) => {
      const frames = text.split("\r\u001b[2K")
      expect(frames[0]).toBe("waiting for another runner: process 7\n")
      expect(frames[1]).toMatch(/^\[-{24}\] 0\/2 {2}\d+ ms {2}V1__a\.sql$/)
      expect(frames.some((frame) => /^\[#{12}-{12}\] 1\/2/.test(frame))).toBe(true)
      expect(frames.some((frame) => /^\[#{24}\] 2\/2/.test(frame))).toBe(true)
      expect(frames.at(-1)).toBe("")
      expect(frames.every((frame) => frame.length < 60)).toBe(true)
    }))
})

describe("tables of the command", () => {
  it("columns stay aligned with wide and combining characters, and control characters are shown", () => {
    expect(Text.table(["a", "b"], [["漢字", 1], ["é", 2], ["x\u001b[31m", 3]])).toBe(
      "a          b\n---------  -\n漢字       1\né          2\nx\\x1b[31m  3"
    )
  })

  it("a cell has the text of its value", () => {
    expect([null, undefined, 12n, true, new Date(0), new Uint8Array([1, 255]), { a: 1n }, [1]].map(Text.cell)).toEqual([
      "",
      "",
      "12",
      "true",
      "1970-01-01T00:00:00.000Z",
      "\\x01ff",
      "{\"a\":\"1\"}",
      "[1]"
    ])
  })

  it("bytes are a text in JSON, those of a Buffer too", () => {
    expect(JSON.parse(Text.toJson([Buffer.from([1, 255]), { a: new Uint8Array([0]) }, 12n]))).toEqual([
      "\\x01ff",
      { a: "\\x00" },
      "12"
    ])
  })
})
