/** An error's message is rendered from its fields, also when the error is made again with others. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { DbError } from "../../src/index.js"
import { failure } from "../../src/internal/driver/failure.js"
import { withFields, withParameterName } from "../../src/internal/error/classes.js"
import { refusedParameter } from "../../src/internal/error/parameter.js"

const lost = { what: "the link broke.", outcome: "Unknown", database: "orders" } as const
const timeout = new DbError.TimeoutError({
  what: "canceled",
  phase: "Statement",
  outcome: "RolledBack",
  database: "orders",
  limitMillis: 20,
  code: "57014",
  cause: "raw"
})

describe("the message of an error", () => {
  it("is what happened, the reason, the code and what to do", () => {
    const { advice } = DbError.connectionReasons.Lost
    const error = new DbError.ConnectionError({ ...lost, reason: "Lost", code: "ECONNRESET" })
    assert.strictEqual(
      error.message,
      `database "orders": the link broke (Lost, ECONNRESET). ${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`
    )
    assert.strictEqual(error.advice, advice)
    assert.include(error.stack, `ConnectionError: ${error.message}`)
    assert.strictEqual(
      new DbError.QueryError({ ...lost, reason: "Unknown", advice: "ask", committedBy: "DROP TABLE t" }).message,
      "database \"orders\": the link broke (Unknown). Ask. A part of its transaction may be applied: the database " +
        "commits before DROP TABLE t."
    )
  })

  it("of a timeout has its limit, where there is one", () => {
    const message = (limitMillis?: number) =>
      new DbError.TimeoutError({ ...lost, phase: "Lock", advice: "wait", limitMillis }).message
    assert.strictEqual(message(20), "database \"orders\": the link broke (Lock timeout of 20 ms). Wait.")
    for (const none of [undefined, 0, Infinity]) {
      assert.strictEqual(message(none), "database \"orders\": the link broke (Lock timeout). Wait.")
    }
  })

  it("is not taken from outside", () => {
    const fields = { ...lost, reason: "Lost", message: "another" } as const
    assert.include(new DbError.ConnectionError(fields).message, "the link broke (Lost)")
  })

  it.effect("comes over a wire with its parts", () =>
    Effect.gen(function*() {
      const wire: unknown = JSON.parse(JSON.stringify(yield* Schema.encode(DbError.DbError)(timeout)))
      assert.deepInclude(wire, { message: timeout.message, what: "canceled", advice: timeout.advice })
      const decoded = yield* Schema.decodeUnknown(DbError.DbError)(wire)
      assert.instanceOf(decoded, DbError.TimeoutError)
      assert.deepInclude(decoded, { message: timeout.message, what: "canceled", limitMillis: 20, code: "57014" })
      assert.deepInclude(JSON.parse(JSON.stringify(timeout)), { message: timeout.message, what: "canceled" })
    }))
})

describe("an error with other fields", () => {
  it("is one of the same class, and its message says them", () => {
    const changed = withFields(timeout, { limitMillis: 100 })
    assert.instanceOf(changed, DbError.TimeoutError)
    assert.include(changed.message, "canceled (Statement timeout of 100 ms, 57014). ")
    assert.deepInclude(changed, { cause: "raw", outcome: "RolledBack", advice: timeout.advice, phase: "Statement" })
    assert.include(timeout.message, "20 ms")
    const error: DbError.DbError = new DbError.QueryError({ ...lost, reason: "Deadlock" })
    assert.deepInclude(withFields(error, { outcome: "RolledBack" }), { _tag: "QueryError", outcome: "RolledBack" })
  })

  it("keeps the stack of the first, under its own message", () => {
    const changed = withFields(timeout, { what: "$& stopped" })
    assert.strictEqual(changed.stack, timeout.stack!.replace(timeout.message, () => changed.message))
    assert.include(changed.stack, "$& stopped (Statement")
  })

  it("still knows its parameter, which is told by its name where it has one", () => {
    const refused = failure({
      _tag: "QueryError",
      reason: "Parameter",
      ...lost,
      ...refusedParameter(1, "an invalid Date")
    })
    assert.strictEqual(refused.what, "parameter 2 is an invalid Date")
    const nameOf = (number: number) => ["a", "b"][number - 1]
    const changed = withParameterName(withFields(refused, { outcome: "NotSent" }), nameOf)
    assert.strictEqual(changed.what, "parameter :b is an invalid Date")
    assert.include(changed.message, "parameter :b is an invalid Date (Parameter)")
    assert.deepInclude(changed, { outcome: "NotSent" })
    assert.strictEqual(withParameterName(refused, () => undefined), refused)
    // What was written over the words is not about the parameter.
    const other = withFields(refused, { what: "something else" })
    assert.strictEqual(withParameterName(other, nameOf), other)
    const words = failure({ _tag: "QueryError", reason: "Unknown", ...lost, parameter: { number: 1 } })
    assert.strictEqual(withParameterName(words, nameOf).what, "the link broke. (:a is parameter 1)")
  })
})
