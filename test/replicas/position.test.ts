/** Places in the log as texts: what is a token of `Db.token`, and what is refused as none. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import type * as Driver from "../../src/driver/Driver.js"
import { formatPosition, parsePosition } from "../../src/internal/driver/pg/position.js"
import { fakeDb } from "../kit/fakeDb.js"

const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
const runs = { numRuns: 2_000, seed }

const position = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

/** The parts of a place, in hexadecimal digits. */
const half = fc.nat({ max: 0xFFFF_FFFF })

/** Texts that are nearly a place. */
const near = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."0123456789abcdefABCDEF//gx -+.\n\t\0\u0660\uFF11"), maxLength: 20 }),
  fc.tuple(
    half,
    half,
    fc.constantFrom(" ", "\n", "/", "0x", "-", "g", "\0", "\u2028", "'; DROP TABLE t; --"),
    fc.nat(20)
  ).map(
    ([high, low, more, at]) => {
      const text = `${high.toString(16)}/${low.toString(16)}`
      return text.slice(0, at) + more + text.slice(at)
    }
  ),
  // One digit more than there can be.
  fc.tuple(half, half).map(([high, low]) => `1${high.toString(16).padStart(8, "0")}/${low.toString(16)}`),
  fc.tuple(half, half).map(([high, low]) => `${high.toString(16)}/1${low.toString(16).padStart(8, "0")}`)
)

const text = fc.oneof(near, fc.string({ unit: "binary" }), fc.string({ unit: "grapheme", maxLength: 500 }))

/** What a place is, by its characters one after the other. */
const isPlace = (given: string): boolean => {
  const parts = given.split("/")
  return parts.length === 2 &&
    parts.every((part) =>
      part.length >= 1 && part.length <= 8 && [...part].every((digit) => "0123456789abcdefABCDEF".includes(digit))
    )
}

/** What the fake servers answer is not asked for here. */
const replication: Driver.Replication = {
  written: (_, done) => done(undefined, 1n),
  replayed: (_, done) => done(undefined, undefined),
  format: formatPosition,
  parse: parsePosition
}

const fake = Effect.map(fakeDb({}, { overrides: { replication } }), ({ layer }) => layer)

describe(`places in the log (DBLIVE_SEED=${seed})`, () => {
  it("are read as they are written, also in small letters and with zeros in front", () => {
    fc.assert(
      fc.property(position, (position) => {
        const written = formatPosition(position)
        assert.match(written, /^[\dA-F]{1,8}\/[\dA-F]{1,8}$/)
        const padded = written.split("/").map((part) => part.padStart(8, "0")).join("/")
        for (const form of [written, written.toLowerCase(), padded]) assert.strictEqual(parsePosition(form), position)
      }),
      runs
    )
  })

  it("are in the order of what was written first", () => {
    fc.assert(
      fc.property(half, half, half, half, (high, low, otherHigh, otherLow) => {
        const one = parsePosition(`${high.toString(16)}/${low.toString(16)}`)!
        const other = parsePosition(`${otherHigh.toString(16)}/${otherLow.toString(16)}`)!
        assert.strictEqual(one < other, high < otherHigh || (high === otherHigh && low < otherLow))
        assert.strictEqual(one === other, high === otherHigh && low === otherLow)
      }),
      runs
    )
  })

  it("are told from all other texts", () => {
    fc.assert(
      fc.property(text, (given) => {
        assert.strictEqual(parsePosition(given) !== undefined, isPlace(given), JSON.stringify(given))
      }),
      { ...runs, numRuns: 10_000 }
    )
  })

  it.effect("a text that is none is a QueryError of reason Parameter, and the effect does not run", () =>
    Effect.gen(function*() {
      const layer = yield* fake
      // What is no text comes from JavaScript.
      const given = fc.sample(
        fc.oneof(text, fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true })),
        runs
      )
      yield* Effect.forEach([...given, Symbol("0/1"), ["0/1"], Object.create(null)], (token) => {
        let ran = false
        return Effect.map(
          Effect.exit(Effect.sync(() => ran = true).pipe(Db.withToken(token as string | undefined))),
          (exit) => {
            const isTaken = token === undefined || (typeof token === "string" && isPlace(token))
            assert.strictEqual(exit._tag, isTaken ? "Success" : "Failure", String(exit))
            assert.strictEqual(ran, isTaken)
            if (exit._tag === "Failure") {
              assert.isTrue(Option.isSome(Cause.failureOption(exit.cause)))
              assert.include(String(exit.cause), "the token is none of this database")
            }
          }
        )
      }, { discard: true }).pipe(Effect.provide(layer))
    }))
})
