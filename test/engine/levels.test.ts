/** The levels of a session: what may nest in what, and what becomes of them when the database commits by itself. */
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { fromSqlError, isDbError, QueryError, toSqlError } from "../../src/DbError.js"
import type { BeginOptions, Driver } from "../../src/driver/Driver.js"
import { committed, partly, partlyCommitted, transactionOf } from "../../src/internal/session/implicitCommit.js"
import { cannotNest, TransactionLevel } from "../../src/internal/session/TransactionLevel.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import { foreignError } from "../kit/sqlErrors.js"

/** A session with a transaction, and a savepoint in it, and one in that. */
const levels = (followsCommits: ReadonlyArray<boolean> = []) => {
  const root = new TransactionLevel("s", undefined, "session", undefined, {})
  const transaction = new TransactionLevel("s", root, "transaction", undefined, {}, followsCommits[0])
  const outer = new TransactionLevel("s", transaction, "savepoint", "one", {}, followsCommits[1])
  const inner = new TransactionLevel("s", outer, "savepoint", "two", {}, followsCommits[2])
  root.child = transaction
  transaction.child = outer
  outer.child = inner
  return { root, transaction, outer, inner }
}

describe("a level", () => {
  it("counts as clients of @effect/sql do", () => {
    const { inner, outer, root, transaction } = levels()
    assert.deepStrictEqual([root, transaction, outer, inner].map(({ depth }) => depth), [-1, 0, 1, 2])
    assert.isFalse(transaction.followsCommits)
  })

  it("is in the transaction whose BEGIN was the last", () => {
    const { inner, outer, root, transaction } = levels()
    assert.deepStrictEqual([inner, outer, transaction].map(transactionOf), [transaction, transaction, transaction])
    assert.isUndefined(transactionOf(root))
    // Begun where a savepoint was, after the database had committed.
    const second = new TransactionLevel("s", outer, "transaction", undefined, {})
    assert.strictEqual(transactionOf(new TransactionLevel("s", second, "savepoint", "x", {})), second)
    assert.isUndefined(transactionOf(new TransactionLevel("s", undefined, "savepoint", "x", {})))
  })
})

describe("a nested transaction", () => {
  const driver = (
    { readOnlyWithin, singleWriter = false }: { readonly readOnlyWithin?: string; readonly singleWriter?: boolean } = {}
  ) =>
    // What the question reads of a driver.
    ({ capabilities: { singleWriter }, transaction: { readOnlyWithin } }) as unknown as Driver

  const answer = (around: BeginOptions, options: BeginOptions, on = driver()) => cannotNest(around, options, on)

  it("has the isolation of the one around it, or asks for none", () => {
    assert.isUndefined(answer({}, {}))
    assert.isUndefined(answer({ isolation: "serializable" }, {}))
    assert.isUndefined(answer({ isolation: "serializable" }, { isolation: "serializable" }))
    assert.include(answer({}, { isolation: "serializable" }), "(the database's default), so it cannot be serializable")
    assert.include(
      answer({ isolation: "read committed" }, { isolation: "serializable" }),
      "(read committed), so it cannot be serializable"
    )
  })

  it("is deferrable only in one that is", () => {
    assert.isUndefined(answer({}, { deferrable: false }))
    assert.isUndefined(answer({ deferrable: true }, { deferrable: true }))
    assert.include(answer({}, { deferrable: true }), "cannot be deferrable")
    assert.include(answer({ deferrable: false }, { deferrable: true }), "cannot be deferrable")
  })

  it("writes only in one that writes", () => {
    assert.isUndefined(answer({}, { readOnly: false }))
    assert.isUndefined(answer({ readOnly: false }, { readOnly: false }))
    assert.isUndefined(answer({ readOnly: true }, {}))
    assert.include(answer({ readOnly: true }, { readOnly: false }), "cannot write in one that only reads")
  })

  it("only reads in one that writes where the database, or the session, can refuse a write", () => {
    assert.include(answer({}, { readOnly: true }), "cannot make a part of a transaction read-only")
    assert.isUndefined(answer({ readOnly: true }, { readOnly: true }))
    assert.isUndefined(answer({}, { readOnly: true }, driver({ singleWriter: true })))
    assert.isUndefined(answer({}, { readOnly: true }, driver({ readOnlyWithin: "SET TRANSACTION READ ONLY" })))
    assert.isUndefined(answer({}, {}))
  })
})

describe("what the database commits by itself", () => {
  it("is noted down to the innermost level, and the first that does not go on is over", () => {
    const { inner, outer, root, transaction } = levels([true, false, false])
    assert.strictEqual(committed(transaction, "CREATE TABLE t"), outer)
    assert.deepStrictEqual([root, transaction, outer, inner].map(({ committedBy }) => committedBy), [
      undefined,
      "CREATE TABLE t",
      "CREATE TABLE t",
      "CREATE TABLE t"
    ])
    const none = levels([true, true, true])
    assert.isUndefined(committed(none.transaction, "x"))
    const all = levels()
    assert.strictEqual(committed(all.transaction, "x"), all.transaction)
  })

  it("makes an error that says nothing was applied one that does not", () => {
    const error = partly(fakeErrors.unique, "CREATE TABLE t")
    assert.deepInclude(error, { _tag: "QueryError", reason: "UniqueViolation", outcome: "Unknown" })
    assert.strictEqual(error.committedBy, "CREATE TABLE t")
    assert.strictEqual(error.cause, fakeErrors.unique)
    const cause = new Error("the driver's")
    const caused = new QueryError({ what: "x", reason: "Deadlock", outcome: "RolledBack", database: "d", cause })
    assert.strictEqual(partly(caused, "x").cause, cause)
    assert.strictEqual(partly(fakeErrors.lost, "x"), fakeErrors.lost)
  })

  it("changes the errors of the database in an exit, and no others", () => {
    const failed = <E>(error: E) => {
      const exit = partlyCommitted(Exit.fail(error), "CREATE TABLE t", "orders")
      assert(Exit.isFailure(exit))
      return [...Cause.failures(exit.cause)][0]
    }
    assert.strictEqual(failed("mine"), "mine")
    assert.isNull(failed(null))
    assert.strictEqual(failed(fakeErrors.lost), fakeErrors.lost)
    const typed = failed(fakeErrors.unique)
    assert(isDbError(typed))
    assert.strictEqual(typed.committedBy, "CREATE TABLE t")
    const wrapped = failed<unknown>(toSqlError(fakeErrors.unique))
    assert(wrapped instanceof SqlError)
    const behind = fromSqlError(wrapped, "orders")
    assert.deepInclude(behind, { outcome: "Unknown", reason: "UniqueViolation", committedBy: "CREATE TABLE t" })
    const unknown = toSqlError(fakeErrors.lost)
    assert.strictEqual(failed<unknown>(unknown), unknown)
    const foreign = foreignError("theirs")
    assert.strictEqual(failed<unknown>(foreign), foreign)
    assert.deepStrictEqual(partlyCommitted(Exit.succeed(1), "x", "orders"), Exit.succeed(1))
  })
})
